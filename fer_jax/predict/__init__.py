"""Predicting expressions in pictures, films and from cameras, with any network of this project.

films, pictures     what is read: frames upright and with their times
following           which faces each frame has, and who they are
crops               each face cut out as the network was trained
pipeline            rows of a film, chunk after chunk; stopped anywhere, it goes on there
outputs ...         what is written: tables, overlay, pages, events
page                all of it in a browser
"""
