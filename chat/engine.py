"""The engine of one process: its batcher, its producers, its clock, and how it starts and stops."""

from __future__ import annotations

import asyncio
import gc
import hmac
import os
import resource
import secrets
import socket
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final
from uuid import UUID

import structlog
from django.conf import settings
from django.db import DatabaseError, connection

from accounts.platform import PLATFORM_ID
from chat import catalog, kept_answers, leaving, mirror, sweeper, turns, upstream_keys
from chat.draining import Drains
from chat.events import CONVERSATION_UPDATED, Event
from chat.keeping import save_seconds
from chat.openrouter.client import Call, Site
from chat.replay import Answer, TurnStream
from chat.retention import Retention
from chat.routing import Router
from chat.runner import Producer
from chat.title_maker import TitleMaker
from chat.turn_jobs import Attached, Start, Started, StartedGeneration, Stop
from chat.upstreams import upstreams
from chat.watching import Watches
from oneai.kit import database, schema
from oneai.kit.batcher import Batcher
from oneai.kit.derived import derived_key
from oneai.kit.errors import Refusal
from oneai.kit.http import Streams

log = structlog.get_logger("engine")

TICK_SECONDS: Final = 0.05
BEAT_SECONDS: Final = 3.0
SWEEP_SECONDS: Final = 1.0
REFRESH_SECONDS: Final = 5.0
COMMENT_SECONDS: Final = 15.0
ERASE_SECONDS: Final = 60.0
ACCEPT_SECONDS: Final = 10.0  # connections that are open may bring turns, each of which has as long again
DRAIN_SECONDS: Final = 20.0
LEAVE_SECONDS: Final = 28.0
MOST_RUNNING: Final = 5000
FILES_A_TURN: Final = 4  # a quarter of the file descriptors may lead upstream; clients and the database need theirs
GC_THRESHOLDS: Final = (20_000, 20, 50)


class Engine:
    """Everything that lives as long as the process and its event loop."""

    def __init__(self) -> None:
        threads = 2 if connection.vendor == "postgresql" else 1
        self.batcher = Batcher(turns.apply, threads=threads, name="turns")
        self.streams = Streams()
        self.worker = f"{socket.gethostname()[:40]}:{os.getpid()}:{secrets.token_hex(4)}"
        self.site = Site(url=settings.SITE_URL, name=settings.SITE_NAME)
        self._tasks: set[asyncio.Task[Any]] = set()
        self.accepting = True
        self.watches = Watches()
        self._leaving_since: float | None = None
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.most_running = MOST_RUNNING if files < 0 else min(MOST_RUNNING, files // FILES_A_TURN)
        self._beginning = 0
        self.producers: dict[UUID, Producer] = {}
        self.turns: dict[UUID, TurnStream] = {}  # produced here
        self.retention = Retention(self.turns)
        self.mirrors = mirror.Mirrors()
        self.router = Router(upstreams())
        self.drains = Drains(self.batcher, self.spawn)
        self._background = ThreadPoolExecutor(1, thread_name_prefix="background")
        self._loop = asyncio.get_running_loop()
        self._key = derived_key("upstream-user")

    # Life -----------------------------------------------------------------------------------------

    async def start(self, *, lifespan: bool) -> None:
        """Read the catalogue and start the clocks. ImproperlyConfigured on a database with another schema.

        ``lifespan`` says whether the server will call ``shut_down``; else a signal does.
        """
        try:
            await self._run_background(partial(schema.check, before_migrations=True))
        except DatabaseError as error:
            # Down for now: /readyz says so, and every call is refused until it is back.
            log.error("database_unavailable", error=type(error).__name__)
        try:
            await self._run_background(catalog.refresh)
        except Exception:
            log.exception("catalogue_unread")
        self.spawn(self._tick())
        self.spawn(self.watches.run())
        self.spawn(self.mirrors.run())
        if settings.REDIS_URL:
            from chat.relay import Relay  # a client of Redis is ten megabytes of each process

            self.spawn(Relay(settings.REDIS_URL, self.worker, self.turns, self.mirrors, self.spawn).post.run())
        self.spawn(self._every(REFRESH_SECONDS, self._refresh))
        self.spawn(self._every(SWEEP_SECONDS, sweeper.sweep_once))
        self.spawn(self._every(ERASE_SECONDS, kept_answers.erase))
        if settings.TITLE_MODEL:
            name = self.user_hash(PLATFORM_ID)
            self.spawn(TitleMaker(self.streams, self.router.endpoint, self.site, name, self.worker).run())
        if not catalog.snapshot().models:
            self.spawn(self._first_sync())
        leaving.on_signals(self.begin_shutdown, None if lifespan else self.shut_down)
        # What is loaded by now stays: the collector need not walk it again while streams wait.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        log.info("engine_started", worker=self.worker)

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """A task with a strong reference until it is done."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def begin_shutdown(self) -> None:
        """The clock of the end: new turns for some seconds more, running ones for 20, then they are marked.

        The server stops listening, and what still comes on connections that are open must not fail.
        """
        if self._leaving_since is None:
            self._leaving_since = self._loop.time()
            tasks = len(asyncio.all_tasks(self._loop))
            log.info("draining", running=len(self.producers), turns=len(self.turns), tasks=tasks)
            self._loop.call_later(ACCEPT_SECONDS, self._refuse_turns)
            self._loop.call_later(DRAIN_SECONDS, self._interrupt_all)

    def _refuse_turns(self) -> None:
        self.accepting = False

    def _interrupt_all(self) -> None:
        for producer in list(self.producers.values()):
            producer.stop("shutdown")

    async def shut_down(self) -> None:
        """End what runs, write everything down, close; within 30 seconds of ``begin_shutdown``."""
        self.begin_shutdown()
        self._refuse_turns()  # the last connection is closed
        assert self._leaving_since is not None
        await self._wait_for_producers(self._leaving_since + DRAIN_SECONDS)
        self._interrupt_all()
        await self._wait_for_producers(max(self._leaving_since + LEAVE_SECONDS, self._loop.time() + 3.0))
        for task in list(self._tasks):
            task.cancel()
        await self.batcher.close()
        await self.streams.close()
        self._background.submit(database.release_connection)
        self._background.shutdown(wait=True)
        log.info("engine_stopped", left=len(self.producers))

    async def _wait_for_producers(self, until: float) -> None:
        while self.producers and self._loop.time() < until:  # noqa: ASYNC110 (once, at the end of a process)
            await asyncio.sleep(0.05)

    def _refresh(self) -> None:
        """Take note of what has changed in the catalogue and the keys, and tell of keys that were refused."""
        catalog.refresh()
        self.router.upstreams = upstreams()
        while self.router.refused_keys:
            (upstream, name), code = self.router.refused_keys.popitem()
            upstream_keys.refused(upstream, name, code)

    async def _run_background(self, work: Any) -> Any:
        return await self._loop.run_in_executor(self._background, work)

    async def _every(self, seconds: float, work: Any) -> None:
        while True:
            await asyncio.sleep(seconds)
            try:
                await self._run_background(work)
            except Exception as error:
                log.error("background_failed", work=work.__name__, error=type(error).__name__, text=str(error)[:200])
                await self._run_background(database.release_connection)

    async def _first_sync(self) -> None:
        for wait in (0, 2, 5, 10, 30, 60):
            await asyncio.sleep(wait)
            try:
                await self._run_background(catalog.sync_all)
                await self._run_background(catalog.refresh)
                return
            except Exception as error:
                log.warning("catalogue_not_synced", error=type(error).__name__)

    async def _tick(self) -> None:
        """Save, beat, time out, and sign of life to readers.

        Each producer has its own second, so that five hundred of them are not saved in one breath
        that every stream would feel.
        """
        pinged = 0.0
        while True:
            await asyncio.sleep(TICK_SECONDS)
            at = self._loop.time()
            pause = save_seconds(len(self.producers))
            for producer in list(self.producers.values()):
                if producer.keeper.next_save > at:
                    continue
                try:
                    if producer.attempt.overdue(at):
                        producer.stop("timeout")
                    else:
                        producer.keeper.save(at, BEAT_SECONDS, pause)
                        producer.keeper.stretch()
                except Exception:
                    # One producer's trouble must not keep the others from being saved.
                    log.exception("tick_failed", generation=str(producer.generation_id))
            if at - pinged < 1:
                continue
            pinged = at
            for stream in (*self.turns.values(), *self.mirrors):
                for waker in stream.wakers:
                    if at - waker.since > COMMENT_SECONDS:
                        waker.wake()

    # Turns ----------------------------------------------------------------------------------------

    async def start_turn(self, start: Start) -> tuple[TurnStream, Started | None]:
        """Admit and commit the turn, then let its producer run. Refusal when it is not admitted.

        With a known idempotency key the turn that it started is returned, and None.
        """
        if not self.accepting:
            raise Refusal("shutting_down", retry_after=3)
        wanted = len(start.models)
        if len(self.producers) + self._beginning + wanted > self.most_running:
            raise Refusal("unavailable", retry_after=2)
        if any(model.upstream not in self.router.upstreams for model in start.models):
            raise Refusal("model_not_usable", param="model")
        self._beginning += wanted  # those of one moment must not all find the same room
        try:
            result = await self._started(start)
        finally:
            self._beginning -= wanted
        if isinstance(result, Refusal):
            raise result
        if isinstance(result, Attached):
            return await self.find_turn(result.turn_id, result.user_id), None
        return self._produce(start, result), result

    async def _started(self, start: Start) -> Started | Attached | Refusal:
        """What the writer says to ``start``, which it drops when nobody waits for the answer any more."""
        waiting = self.batcher.submit(start)
        try:
            result: Started | Attached | Refusal = await database.answered(waiting)
            return result
        except Refusal:
            if not waiting.done():
                start.withdrawn = True
                waiting.add_done_callback(partial(self._too_late, start))
            raise

    def _too_late(self, start: Start, done: asyncio.Future[Started | Attached | Refusal]) -> None:
        """See to a turn that was committed after its caller had been told that the database is away.

        Whoever asks again under its idempotency key finds it going on; nobody else will ask for it.
        """
        if done.cancelled() or done.exception() is not None or not isinstance(started := done.result(), Started):
            return
        stream = self._produce(start, started)
        if start.idempotency_key is None:
            self.abandon(stream)

    def _produce(self, start: Start, started: Started) -> TurnStream:
        """The stream of a committed turn, and a producer for each of its generations."""
        answers = [_answer(generation) for generation in started.generations]
        stream = TurnStream(
            turn_id=started.turn_id,
            user_id=started.user_id,
            answers=answers,
            opening=[],
        )
        stream.opening.append(
            mirror.opening(
                started.turn_id,
                started.conversation_id,
                started.user_message_id,
                answers,
                started.quote,
                started.context,
            )
        )
        if started.title is not None:
            data = {"conversation_id": started.conversation_id, "title": started.title}
            stream.opening.append(Event(CONVERSATION_UPDATED, "", data))
        self.turns[stream.turn_id] = stream
        for generation, answer in zip(started.generations, answers, strict=True):
            self._run(start, started, generation, stream, answer)
        return stream

    def _run(
        self, start: Start, started: Started, generation: StartedGeneration, stream: TurnStream, answer: Answer
    ) -> None:
        producer = Producer(
            turn=stream,
            answer=answer,
            start=start,
            started=started,
            generation=generation,
            router=self.router,
            site=self.site,
            call=Call(
                model=generation.model.upstream_slug,
                messages=generation.prompt,
                max_tokens=generation.admitted.max_tokens,
                user=self.user_hash(started.user_id),
                reference=str(generation.hold_id),
                params=start.params,
            ),
            streams=self.streams,
            batcher=self.batcher,
            drain=self.drains.take,
        )
        self.producers[generation.generation_id] = producer
        producer.task = self.spawn(producer.run())
        producer.task.add_done_callback(lambda _: self._ended(producer))

    def _ended(self, producer: Producer) -> None:
        self.producers.pop(producer.generation_id, None)
        turn = producer.turn
        if not any(answer.generation_id in self.producers for answer in turn.answers):
            self.retention.keep(turn)

    def user_hash(self, user_id: UUID) -> str:
        """A stable name for a user that tells the upstream nothing, and lets it block one without all."""
        return hmac.new(self._key, user_id.bytes, "sha256").hexdigest()[:32]

    async def find_turn(self, turn_id: UUID, user_id: UUID) -> TurnStream:
        """The turn, from memory or from the database. Refusal ``not_found`` when it is not this user's."""
        stream = self.turns.get(turn_id)
        if stream is not None and stream.user_id == user_id:
            return stream
        return await self.mirrors.find(turn_id, user_id)

    async def stop_turn(self, user_id: UUID, turn_id: UUID, message_id: UUID | None) -> None:
        """Ask a turn to stop, wherever it runs. Refusal ``not_found`` when it is not this user's."""
        noted: bool = await self.batcher.submit(Stop(user_id, turn_id, message_id))
        if not noted:
            raise Refusal("not_found")
        for producer in list(self.producers.values()):
            if producer.turn.turn_id == turn_id and message_id in (None, producer.answer.message_id):
                producer.stop("stop")

    def abandon(self, stream: TurnStream) -> None:
        """The caller of ``/v1`` has gone: stop the upstream and settle."""
        for answer in stream.answers:
            if producer := self.producers.get(answer.generation_id):
                producer.stop("stop")


def _answer(generation: StartedGeneration) -> Answer:
    answer = Answer(generation.generation_id, generation.message_id, generation.model.slug)
    if generation.prefix:
        answer.parts.append(generation.prefix)
        answer.length = len(generation.prefix)
    return answer


_engine: Engine | None = None
_starting: asyncio.Lock | None = None


async def ensure_started(*, lifespan: bool = False) -> Engine:
    """The engine of this process; started at the first call when the server has no ``lifespan``."""
    global _engine, _starting
    if _engine is None:
        if _starting is None:
            _starting = asyncio.Lock()
        async with _starting:
            if _engine is None:
                engine = Engine()
                await engine.start(lifespan=lifespan)
                _engine = engine
    return _engine


def current() -> Engine:
    """The engine, in a handler: the application has started it before."""
    assert _engine is not None
    return _engine


async def shut_down() -> None:
    """Stop the engine, if it was started."""
    global _engine
    if _engine is not None:
        await _engine.shut_down()
        _engine = None
