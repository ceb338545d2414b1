"""What the mails about a team say that has another owner while its payer is the same. Pure, as ``mail_texts``."""

from __future__ import annotations

from accounts.models import User
from accounts.team_models import Team
from billing import mail_texts
from billing.letters import Letter, Link
from billing.mail_texts import amount_of, plan_of
from billing.models import Subscription
from billing.wording import day, rupees
from oneai.kit.clock import now


def still_paying(subscription: Subscription, team: Team, heir: User) -> Letter:
    """To whoever has handed a team over, and whose mandate goes on."""
    when = day(subscription.current_period_end, subscription.user)
    return Letter(
        subject=f"You still pay for {team.name}",
        heading=f"You still pay for {team.name}",
        what=f"{heir.name or heir.email} owns the team now. Its plan goes on being charged to you until they take the "
        "payment over, or until you stop it.",
        facts=[("Plan", plan_of(subscription)), ("Next charge", f"{rupees(amount_of(subscription))} on {when}")],
        then="If you stop it, the team keeps the plan until the period that you have paid for ends.",
        action=Link("Stop paying for it", "/billing#teams"),
        foot="You get this mail because you pay for a team that you do not own.",
    )


def paid_by_another(subscription: Subscription, team: Team) -> Letter:
    """To a team's new owner, while whoever owned it before pays."""
    payer = subscription.user
    when = day(subscription.current_period_end, payer)
    return Letter(
        subject=f"{payer.name or payer.email} still pays for {team.name}",
        heading=f"Take over the payment for {team.name}",
        what=f"The team is yours, and its plan is still charged to {payer.name or payer.email}, who may stop it at any "
        "time.",
        facts=[("Plan", plan_of(subscription)), ("Paid until", when)],
        then="Take the payment over, and the plan goes on without a gap: you pay from that day on, and nobody pays "
        "twice.",
        action=Link("Take over the payment", f"/billing?team={team.pk}"),
        foot="You get this mail because you own the team now.",
    )


def plan_ends(subscription: Subscription, team: Team, by: str, *, to_owner: bool) -> Letter:
    """The plan of a team is to end with the period, as its payer or its owner (``by``) wants: to either of them."""
    when = day(subscription.current_period_end, subscription.user)
    title = f"{subscription.plan.name} of {team.name} ends on {when}"
    return Letter(
        subject=title,
        heading=title,
        what=f"{by} has ended it. The team keeps it until that day, and nothing more is charged.",
        facts=[("Plan", plan_of(subscription)), ("Ends", when)],
        then="Take the payment over before, and it goes on without a gap." if to_owner else "",
        action=Link("See the team’s plan", f"/billing?team={team.pk}") if to_owner else mail_texts.BILLING,
        foot="You get this mail because you own the team." if to_owner else "You get this mail because you pay for it.",
    )


def taken_over(subscription: Subscription, team: Team, new: Subscription) -> Letter:
    """To whoever paid for a team, once somebody else does."""
    later = new.starts_at is not None and new.starts_at > now()
    when = f"from {day(new.starts_at, subscription.user)} on" if later else "from now on"
    return Letter(
        subject=f"You no longer pay for {team.name}",
        heading=f"{new.user.name or new.user.email} pays for {team.name} {when}",
        what="Nothing more is charged to you for it."
        if later
        else "Nothing more is charged to you for it, and what you had paid for the time after that goes back to you.",
        facts=[("Plan", plan_of(subscription))],
        action=mail_texts.BILLING,
        foot="You get this mail because you paid for a team.",
    )
