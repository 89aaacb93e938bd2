"""Questions from outside: what a model, a person or a file proposes is tested, and then is a question like any other.

names.py      the things that a text names, and which objects those are
programs.py   what a program is about: the ids, words and calls in its tree
steady.py     whether the answer stays when views and boxes are a little off
elsewhere.py  the same program over other scenes: what a guesser who sees nothing would get right
examine.py    TaskSpec -> Accepted | Rejection …
"""
