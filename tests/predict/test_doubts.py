"""Why a face of a film is doubtful, and what is counted of such faces."""

from fer_jax.predict import jobs, quality, results, summary


def test_reasons_to_doubt_a_face_of_a_film(tmp_path):
    # Right edge, sharpness, turn and probability of each face, and why it is doubtful.
    faces = [
        ('30.00', '0.5000', '0.0000', '0.9', 'small'),
        ('60.00', '0.0500', '0.0000', '0.9', 'blurred'),
        ('60.00', '0.5000', '0.4000', '0.9', 'turned'),
        ('60.00', '0.5000', '0.0000', '0.3', 'unsure'),
        ('60.00', '0.5000', '0.0000', '0.9', ''),
        ('60.00', '0.0500', '0.4000', '0.9', 'blurred turned'),
    ]
    lines = [
        f'{k},{k / 10},face,1,10.00,10.00,{right},30.00,0.9000,{sharp},{turned},{k / 10},{p},0.2'
        for k, (right, sharp, turned, p, _) in enumerate(faces)
    ]
    (tmp_path / 'rows.csv').write_text('\n'.join([*lines, '6,0.6,no face', '7,0.7,no face']))
    result = results.read(tmp_path / 'rows.csv', ('calm', 'glad'), smooth=0, threshold=0.4)
    names = results.header(result.classes, sequences=False)
    table = [dict(zip(names, row, strict=True)) for row in results.lines(result, sequences=False)]
    assert [row['uncertain'] for row in table] == [*(reasons for *_, reasons in faces), '', '']
    counted = summary.counts(result)
    assert [counted[reason] for reason in quality.REASONS] == [1, 2, 2, 1]
    assert (counted['faces'], counted['uncertain faces']) == (6, 5)
    row = jobs.film_row('a.mp4', {'counts': counted, 'film': {'seconds': 0.8}, 'remarks': ['x']})
    assert row == {
        'film': 'a.mp4', 'status': 'done', 'seconds': 0.8, 'frames': 8, 'with_a_face': 6,
        'people': 1, 'uncertain_faces': 5, 'remarks': 'x',
    }  # fmt: skip
