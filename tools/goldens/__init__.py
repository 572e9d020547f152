"""What make_goldens.py is made of: tiny models, what they are asked, and the files of what they answer."""
