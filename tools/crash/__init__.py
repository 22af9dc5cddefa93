"""The crash harness: a trading child is killed at every named point of the protocol, and nothing may be lost for it.

``python -m tools.crash`` (``make crash-test``). A *story* is one broker, which lives in a process of its own and keeps
its own book, and a row of children that trade against it on one store, each killed somewhere or failed by its disk.
After each death and at the story's end the store is held against the broker's book.
"""
