"""The demonstration programme: three companies that do not exist, their people and any number of card accounts.

It is generated, and comes out the same every time; only dates move with the day on which it is loaded. Account number
17 is the same account whether 2 000 or a million are asked for.
"""

from deploy.demonstration.accounts import MOST as MOST_ACCOUNTS
from deploy.demonstration.loading import Summary, load_demonstration
from deploy.demonstration.users import demo_users

__all__ = ["MOST_ACCOUNTS", "Summary", "demo_users", "load_demonstration"]
