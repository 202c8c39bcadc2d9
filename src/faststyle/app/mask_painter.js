// A mask painted over the photograph: white strokes on black, sent as a PNG when the pointer is lifted.
export default function ({ data, parentElement, setStateValue }) {
  const root = parentElement.querySelector(".painter");
  const [canvas, size, clear] = ["canvas", "input", "button"].map((tag) => root.querySelector(tag));
  if (root.dataset.key === data.key) return;
  root.dataset.key = data.key;
  const mask = document.createElement("canvas");
  const [show, paint] = [canvas, mask].map((each) => each.getContext("2d"));
  const photograph = new Image();

  const empty = () => {
    mask.width = canvas.width;
    mask.height = canvas.height;
  };
  const draw = () => {
    show.globalAlpha = 1;
    show.drawImage(photograph, 0, 0);
    show.globalAlpha = 0.6;
    show.drawImage(mask, 0, 0);
  };
  photograph.onload = () => {
    canvas.width = photograph.width;
    canvas.height = photograph.height;
    empty();
    draw();
  };
  photograph.src = data.photograph;

  const send = () => {
    const whole = document.createElement("canvas");
    whole.width = mask.width;
    whole.height = mask.height;
    const context = whole.getContext("2d");
    context.fillRect(0, 0, whole.width, whole.height); // black
    context.drawImage(mask, 0, 0);
    setStateValue("mask", whole.toDataURL("image/png"));
  };
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    const scale = canvas.width / box.width;
    return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
  };
  let last = null;
  canvas.onpointerdown = (event) => {
    canvas.setPointerCapture(event.pointerId);
    last = at(event);
    canvas.onpointermove(event);
  };
  canvas.onpointermove = (event) => {
    if (!last) return;
    const now = at(event);
    paint.strokeStyle = "white";
    paint.lineCap = "round";
    paint.lineWidth = (size.value / 100) * Math.min(mask.width, mask.height);
    paint.beginPath();
    paint.moveTo(...last);
    paint.lineTo(now[0], now[1] + 0.01); // a dot, where the pointer has not moved
    paint.stroke();
    last = now;
    draw();
  };
  canvas.onpointerup = canvas.onpointercancel = () => {
    if (last) send();
    last = null;
  };
  clear.onclick = () => {
    empty();
    draw();
    setStateValue("mask", null);
  };
}
