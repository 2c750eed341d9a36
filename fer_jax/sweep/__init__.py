"""Search for hyper-parameters: spaces, studies that many workers share, trials, their page.

What is chosen on: with the nested choice a trial trains on a fold's training part without its inner
validation clips and is judged on those; test clips are judged when the best setting is trained
again. With --choose_on_test trials are judged on the test folds, as in haddad2020.
"""
