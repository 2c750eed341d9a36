"""One run: its clips, members, features, learner and records, from config to report."""
