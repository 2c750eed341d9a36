"""The MMI facial expression database."""
