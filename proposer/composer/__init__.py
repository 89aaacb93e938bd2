"""Composes questions: typed forms, their meaning on a scene, their programs and their sentences.

forms.py      what a question is made of, and how difficult it is
draw.py       random forms, and forms derived from others
meaning.py    the answer of a form on described views, with the margin of every decision
programs.py   form -> program of the question language
wording.py    form -> English sentence
kinds.py      which forms ask the same: their answers over sampled scenes
bind.py       form + views of a scene -> question about objects of that scene
"""
