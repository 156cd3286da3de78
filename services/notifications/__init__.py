"""Notifications: mails about what happened, each in its reader's language.

It hears events and sends by SMTP, or into a folder. It promises that a mail is tried again until the mail server has
accepted or refused it, and that nobody gets two mails for one event.
"""
