"""What the configs of kahou2015 share: AFEW's clips and its official parts."""

# Every model of clips: AFEW's own aligned faces, the parts that its owners give.
CLIPS = {
    'paper': 'kahou2015',
    'data': {'name': 'afew', 'faces': 'release', 'frames': 16, 'sampling': 'uniform'},
    'protocol': {'name': 'official'},
}
# Those that see faces: whole clips, of which those without a face are left out (Table 2's counts).
FACES = {'data': {'frames': 96, 'drop_faceless': True}}
# People of a simulated AFEW.
SUBJECTS = 60
