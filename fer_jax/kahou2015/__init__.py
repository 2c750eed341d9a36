"""The whole EmotiW system of kahou2015: models of AFEW's clips, two fusions, seven submissions."""
