"""Tests of what talks to CUDA, with the real pycuda on a stand-in for the driver.

They are a stage of their own, since a process has one libcuda.so.1: `python -m tests.cuda` starts
pytest with the stand-in before any other. They show that calls, arguments, lifetimes and threads
are right. They do NOT show that a GPU works: there is none, and nothing runs beside anything else
(tests/stand_in_driver/state.h says what the stand-in is).
"""
