"""For each rule of the kit an adapter that breaks it, and nothing else: the right one with one thing done wrong.

Most are mistakes that adapters are really made with, held back from what other rules look at where they would break
more than one. ``WRONG`` has them by the rule that has to find them.
"""

from __future__ import annotations

from typing import Final

from tests.certify.adapter_builders import Made, bench_of, reader_of
from tests.certify.wrong_calls import (
    DoubtsWhatNeverLeft,
    KeepsTheLock,
    LetsAnythingOut,
    LosesTheAdvice,
    RemembersOneCall,
    TakesNoPermissionForNotFound,
    TakesSilenceForARefusal,
    TakesSilenceForARejection,
    TakesSilenceForNothing,
    TriesAgain,
    WaitsForEver,
)
from tests.certify.wrong_orders import (
    CallsEveryRejectADuplicate,
    CancelsLater,
    CountsAsMock,
    KnowsWhatItSawAccepted,
    LacksLimits,
    ListsItsOwn,
    ListsLists,
    LooksThroughOpenOrders,
    RaisesForUnknownCancels,
    RaisesForUnknownOrders,
    ReaderThatCancels,
    RenamesRepeats,
    TakesAnyForTheSame,
    TakesARefusalForDone,
    TakesEndedForCancelled,
    TellsWhatWasFilledBefore,
)
from tests.certify.wrong_tellings import (
    BeginsAfterTheCursor,
    CountsByTime,
    DropsWhatHasEnded,
    EndsQuietly,
    ForgetsFees,
    KeepsOneOfAnInstant,
    KeepsPositions,
    NamesFillsAnew,
    NumbersDeliveries,
    RoundsThroughFloats,
    TellsFillsWithoutFees,
    TellsLocalTime,
    TellsOurTime,
    TellsTheLastPart,
    TellsTimeAsItComes,
)

__all__ = ["WRONG"]

WRONG: Final[dict[str, Made]] = {
    "CRT-1": bench_of(LacksLimits),
    "CRT-2": reader_of(ReaderThatCancels),
    "CRT-3": bench_of(CountsAsMock),
    "CRT-4": bench_of(ListsLists),
    "CRT-5": bench_of(RenamesRepeats),
    "CRT-6": bench_of(TakesAnyForTheSame),
    "CRT-7": bench_of(CallsEveryRejectADuplicate),
    "CRT-8": bench_of(CancelsLater),
    "CRT-9": bench_of(TakesEndedForCancelled),
    "CRT-10": bench_of(RaisesForUnknownCancels),
    "CRT-11": bench_of(TellsWhatWasFilledBefore),
    "CRT-12": bench_of(TakesARefusalForDone),
    "CRT-13": bench_of(LooksThroughOpenOrders),
    "CRT-14": bench_of(RaisesForUnknownOrders),
    "CRT-15": bench_of(KnowsWhatItSawAccepted),
    "CRT-16": bench_of(ListsItsOwn),
    "CRT-17": bench_of(BeginsAfterTheCursor),
    "CRT-18": bench_of(KeepsOneOfAnInstant),
    "CRT-19": bench_of(CountsByTime),
    "CRT-20": bench_of(NamesFillsAnew),
    "CRT-21": bench_of(TellsTheLastPart),
    "CRT-22": bench_of(RoundsThroughFloats),
    "CRT-23": bench_of(TellsLocalTime),
    "CRT-24": bench_of(KeepsPositions),
    "CRT-25": bench_of(ForgetsFees),
    "CRT-26": bench_of(TellsOurTime),
    "CRT-27": bench_of(TellsTimeAsItComes),
    "CRT-28": bench_of(LosesTheAdvice),
    "CRT-29": bench_of(DoubtsWhatNeverLeft),
    "CRT-30": bench_of(TakesNoPermissionForNotFound),
    "CRT-31": bench_of(TakesSilenceForARejection),
    "CRT-32": bench_of(TakesSilenceForARefusal),
    "CRT-33": bench_of(TakesSilenceForNothing),
    "CRT-34": bench_of(LetsAnythingOut),
    "CRT-35": bench_of(TriesAgain),
    "CRT-36": bench_of(WaitsForEver),
    "CRT-37": bench_of(KeepsTheLock),
    "CRT-38": bench_of(RemembersOneCall),
    "CRT-39": bench_of(TellsFillsWithoutFees),
    "CRT-40": bench_of(NumbersDeliveries),
    "CRT-41": bench_of(EndsQuietly),
    "CRT-42": bench_of(DropsWhatHasEnded),
}
