"""A page for people: see the agents, start runs, watch them, answer what they ask.

The page is a few files that a browser reads as they are (`static/`): no build, no library, no other host.
Most of what it shows and does are the protocol's operations; what there is beyond is in `routes`.

    files.py      the files, and what a browser may do with them
    routes.py     what the page asks beyond the protocol
    listing.py    all runs in a few words, and only when something changed
    questions.py  what a run asks, with the form of its answer
    drawing.py    an agent's graph, laid out by layout.py
"""
