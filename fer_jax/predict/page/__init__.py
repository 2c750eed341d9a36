"""Predicting in a browser: pictures, films and the camera, on this machine only (extra 'demo').

showing             what is predicted of an upload, and what the page shows of it
blocks              the page itself, with Gradio
"""
