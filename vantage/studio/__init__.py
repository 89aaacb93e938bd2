"""A local web page to walk through scenes, ask and answer questions, and write programs.

server.py    HTTP on the loopback address: one page and JSON requests
session.py   the simulator behind it
study.py     answers of people, and their accuracy per skill
"""
