from faststyle.commands.main import main

if __name__ == "__main__":
    main("train-decoder")
