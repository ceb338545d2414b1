"""The mails about money. Each is put into the outbox in the transaction of its cause, and once for each cause.

Call them inside the transaction that does the deed: if it is rolled back, there is no mail. Called again for the same
cause, also by another process at the same time, they do nothing. Each returns whether a mail was written now. Receipts
and credit notes go with their papers (``billing.invoice_mails``).
"""

from __future__ import annotations

from datetime import datetime

import structlog
from django.db import transaction

from accounts.models import User
from accounts.team_models import Team
from billing import letters, mail_texts, team_texts
from billing.letters import Letter
from billing.models import Notice, Payment, Price, Refund, Subscription, SubscriptionChange

log = structlog.get_logger("mail")


def _once(key: str, kind: str, user: User, letter: Letter) -> bool:
    if not user.is_active:
        return False
    with transaction.atomic():
        # Of two at once the later waits here for the earlier one's commit, and then finds its row.
        _, first = Notice.objects.get_or_create(
            key=key, defaults={"kind": kind, "user": user, "subject": letter.subject[:255]}
        )
        if first:
            letters.message(letter, user.email).send()
    if first:
        log.info("billing_mail", kind=kind, key=key)
    return first


def payment_failed(subscription: Subscription, payment: Payment | None = None) -> bool:
    """A charge failed and will be tried again at ``subscription.charge_at``, as fetched: one mail for each try.

    ``payment`` is the one that failed, when it is known: the mail then has the bank's words.
    """
    tried = subscription.charge_at or subscription.current_period_end
    key = f"payment-failed:{subscription.pk}:{tried:%Y-%m-%d}" if tried else f"payment-failed:{subscription.pk}"
    return _once(key, "payment_failed", subscription.user, mail_texts.payment_failed(subscription, payment))


def halted(subscription: Subscription) -> bool:
    """Every try failed: once for each cycle that came to this."""
    end = subscription.current_period_end
    key = f"halted:{subscription.pk}:{end:%Y-%m-%d}" if end else f"halted:{subscription.pk}"
    return _once(key, "halted", subscription.user, mail_texts.halted(subscription))


def plan_changed(
    change: SubscriptionChange,
    *,
    old: tuple[Price, int],
    new: tuple[Price, int],
    at: datetime | None = None,
    paid_paise: int = 0,
    credit_paise: int = 0,
) -> bool:
    """Plan, interval or seats are changed now, or ``at`` a later moment. ``old`` and ``new``: price and quantity.

    ``paid_paise`` was paid for the rest of the period, ``credit_paise`` credited for what was left of the old plan.
    """
    user = change.subscription.user
    letter = mail_texts.plan_changed(user, old, new, at, paid_paise, credit_paise)
    return _once(f"change:{change.pk}", "plan_changed", user, letter)


def cancel_scheduled(change: SubscriptionChange) -> bool:
    """The customer wants it to end with the period."""
    return _of_change(change, "cancel_scheduled", mail_texts.cancel_scheduled(change.subscription))


def cancel_undone(change: SubscriptionChange) -> bool:
    """The customer took back what was to happen at the end of the period."""
    return _of_change(change, "cancel_undone", mail_texts.cancel_undone(change.subscription))


def cancelled(subscription: Subscription, *, refund_paise: int = 0, by_hand: bool = False) -> bool:
    """It has ended, whoever ended it. ``refund_paise``: what goes back for the rest of the period, also ``by_hand``."""
    letter = mail_texts.cancelled(subscription, refund_paise, by_hand)
    return _once(f"cancelled:{subscription.pk}", "cancelled", subscription.user, letter)


def paused(change: SubscriptionChange) -> bool:
    """It is paused, by the customer here or at their bank."""
    return _of_change(change, "paused", mail_texts.paused(change.subscription))


def resumed(change: SubscriptionChange) -> bool:
    """It runs again after a pause."""
    return _of_change(change, "resumed", mail_texts.resumed(change.subscription))


def refund_made(refund: Refund) -> bool:
    """A payment goes back that has no invoice, and so no credit note to go with."""
    return _once(f"refund:{refund.pk}", "refund_made", refund.payment.user, mail_texts.refund_made(refund))


def renewal_ahead(subscription: Subscription) -> bool:
    """Its next charge is near: once for each cycle."""
    end = subscription.current_period_end
    assert end is not None
    key = f"renewal:{subscription.pk}:{end:%Y-%m-%d}"
    return _once(key, "renewal_ahead", subscription.user, mail_texts.renewal_ahead(subscription))


def last_period(subscription: Subscription) -> bool:
    """It has been charged for the last time: a new mandate has to follow."""
    return _once(f"last-period:{subscription.pk}", "last_period", subscription.user, mail_texts.runs_out(subscription))


def runs_out(subscription: Subscription) -> bool:
    """It ends in a week, and nothing is there to follow it."""
    return _once(f"runs-out:{subscription.pk}", "runs_out", subscription.user, mail_texts.runs_out(subscription))


def trial_ends(subscription: Subscription) -> bool:
    """A trial is about to become a paid plan by itself."""
    return _once(f"trial:{subscription.pk}", "trial_ends", subscription.user, mail_texts.trial_ends(subscription))


def handed_over(change: SubscriptionChange, heir: User) -> bool:
    """A team has another owner: to whoever still pays for it, and to the new owner. Whether a mail was written."""
    row, team = change.subscription, Team.objects.get(pk=str(change.subscription.team_id))
    told = _once(f"handed-over:{change.pk}", "handed_over", row.user, team_texts.still_paying(row, team, heir))
    return _once(f"heir:{change.pk}", "paid_by_another", heir, team_texts.paid_by_another(row, team)) or told


def team_plan_ends(change: SubscriptionChange, owner: User) -> bool:
    """The plan of a team that somebody else pays for is to end: to whoever pays, and to the owner."""
    row, team = change.subscription, Team.objects.get(pk=str(change.subscription.team_id))
    letter = team_texts.plan_ends(row, team, change.actor, to_owner=False)
    told = _once(f"change:{change.pk}", "team_plan_ends", row.user, letter)
    letter = team_texts.plan_ends(row, team, change.actor, to_owner=True)
    return _once(f"owner:{change.pk}", "team_plan_ends", owner, letter) or told


def taken_over(change: SubscriptionChange, new: Subscription) -> bool:
    """Somebody else pays for the team from now on, or from the next period on: to whoever paid before."""
    row = change.subscription
    letter = team_texts.taken_over(row, Team.objects.get(pk=str(row.team_id)), new)
    return _once(f"taken-over:{row.pk}:{new.pk}", "taken_over", row.user, letter)


def _of_change(change: SubscriptionChange, kind: str, letter: Letter) -> bool:
    return _once(f"change:{change.pk}", kind, change.subscription.user, letter)
