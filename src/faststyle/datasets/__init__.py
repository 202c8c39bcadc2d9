"""Stylised copies of data sets: layouts, each picture's style, records of what is done, many workers."""
