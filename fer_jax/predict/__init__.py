"""Predicting expressions in pictures, films and from cameras, with any network of this project.

films, pictures     what is read: frames upright and with their times
following           which faces each frame has, and who they are
crops               each face cut out as the network was trained
pipeline            rows of a film, chunk after chunk; stopped anywhere, it goes on there
outputs ...         what is written: tables, overlay, pages, events
"""

# What a prediction means and where it must not be used: shown by --help, pages and tables.
NOTE = (
    'The labels say how people would name the expression in a picture, not what a person feels. '
    "The European Union's AI Act, Article 5(1)(f), forbids inferring emotions at work and in "
    'education, except for medical or safety reasons. This is general information, no legal advice.'
)
