"""What the doors take as a number, what they refuse, and that what we write is read back as the same number."""

from __future__ import annotations

from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, ValidationError

from interlock.domain.errors import BadInput, InvariantBroken
from interlock.domain.money import ZERO, Amount, Price, Quantity, SignedQuantity, decimal_text, parse_decimal


class Door(BaseModel):
    """A model at a door, with one field of each kind."""

    model_config = ConfigDict(strict=True, extra="forbid")

    quantity: Quantity = Decimal(1)
    price: Price = Decimal(1)
    amount: Amount = ZERO
    position: SignedQuantity = ZERO


def plain_texts() -> st.SearchStrategy[str]:
    """Every text of the plain form that fits, negative zero left out."""
    return st.from_regex(r"\A-?[0-9]{1,10}(\.[0-9]{1,18})?\Z", alphabet=st.characters(codec="ascii")).filter(
        lambda text: not (text.startswith("-") and Decimal(text).is_zero())
    )


REFUSED_TEXTS = {
    "a huge exponent": "1E+999999",
    "a small exponent": "1e5",
    "an underscore": "1_000",
    "blanks around": " 1 ",
    "a newline at the end": "1\n",
    "Arabic digits": "\u0661\u0662",
    "full-width digits": "\uff11",
    "a comma as point": "1,5",
    "negative zero": "-0",
    "negative zero with a fraction": "-0.00",
    "a plus sign": "+1",
    "a typographic minus": "\u22121",
    "not a number": "NaN",
    "infinity": "-Infinity",
    "nothing": "",
    "a lone minus": "-",
    "no digit before the point": ".5",
    "no digit after the point": "5.",
    "two points": "1.2.3",
    "hexadecimal": "0x10",
    "29 digits": "1" * 29,
    "29 digits around a point": "1" * 11 + "." + "1" * 18,
    "19 digits after the point": "0." + "1" * 19,
    "a megabyte of digits": "1" * 1_000_000,
    "a lone surrogate": "\ud800",
}


@pytest.mark.parametrize("text", ["0", "7", "-7", "007", "104.4", "-1839.2", "0.000000000000000001", "9" * 28])
def test_a_plain_decimal_is_taken_as_it_stands(text: str) -> None:
    """Every digit that is written is kept."""
    assert parse_decimal(text, "px").as_tuple() == Decimal(text).as_tuple()


@pytest.mark.spec("NFR-1")
@pytest.mark.parametrize("text", REFUSED_TEXTS.values(), ids=REFUSED_TEXTS.keys())
def test_any_other_text_is_refused_in_one_line_that_says_what_is_allowed(text: str) -> None:
    """The line names the place and the allowed form."""
    with pytest.raises(BadInput) as refusal:
        parse_decimal(text, "fills.jsonl:3 px")
    line = str(refusal.value)
    assert line.startswith("fills.jsonl:3 px: ")
    assert "at most 28 digits" in line
    assert "\n" not in line
    assert len(line) < 300


def test_the_refused_text_is_not_repeated_because_it_may_be_a_secret() -> None:
    """A password pasted into a price field must not reach a terminal."""
    with pytest.raises(BadInput) as refusal:
        parse_decimal("hunter2", "px")
    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize("value", [Decimal("1.50"), 1, "1.50"])
def test_the_fields_take_decimals_whole_numbers_and_plain_text(value: object) -> None:
    """All four kinds of field, from Python objects."""
    door = Door.model_validate({"quantity": value, "price": value, "amount": value, "position": value})
    assert door.quantity == door.price == door.amount == door.position == Decimal(str(value))
    assert type(door.quantity) is Decimal


def test_a_decimal_given_with_an_exponent_is_rewritten_in_plain_form() -> None:
    """Its plain text would have been taken, so the number is; the exponent does not travel on."""
    assert str(Door.model_validate({"price": Decimal("1E+3")}).price) == "1000"


REFUSED_VALUES = {
    "a float": (0.1, "write it as a string"),
    "true": (True, "not a number but bool"),
    "null": (None, "not a number but NoneType"),
    "bytes": (b"1", "not a number but bytes"),
    "a list": ([1], "not a number but list"),
    "a decimal NaN": (Decimal("NaN"), "not a finite number"),
    "a signalling NaN": (Decimal("sNaN"), "not a finite number"),
    "a decimal infinity": (Decimal("Infinity"), "not a finite number"),
    "a decimal too huge to write out": (Decimal("1E+999999999999999999"), "too many digits"),
    "a tiny decimal": (Decimal("1E-999999"), "too many digits"),
    "a long decimal": (Decimal("1" * 29), "too many digits"),
    "a decimal with 19 places": (Decimal("1E-19"), "too many digits"),
    "decimal negative zero": (Decimal("-0.0"), "negative zero"),
    "a long whole number": (10**28, "too many digits"),
    "a long negative number": (-(10**28), "too many digits"),
    "a number too long to print": (10**5000, "too many digits"),
}


@pytest.mark.spec("NFR-1")
@pytest.mark.parametrize("field", ["quantity", "price", "amount", "position"])
@pytest.mark.parametrize(("value", "said"), REFUSED_VALUES.values(), ids=REFUSED_VALUES.keys())
def test_any_other_value_is_refused_by_every_field(field: str, value: object, said: str) -> None:
    """One fault, in one line, saying what is wrong and what is allowed."""
    with pytest.raises(ValidationError) as refusal:
        Door.model_validate({field: value})
    (fault,) = refusal.value.errors()
    assert said in fault["msg"]
    assert "allowed: a plain decimal" in fault["msg"]
    assert "\n" not in fault["msg"]


@pytest.mark.parametrize("field", ["quantity", "price"])
@pytest.mark.parametrize("value", ["0", "0.00", "-5", 0, -1, Decimal(0)])
def test_quantities_and_prices_are_above_zero(field: str, value: object) -> None:
    """A price of zero and a negative size are refused."""
    with pytest.raises(ValidationError, match="a number above zero"):
        Door.model_validate({field: value})


@pytest.mark.parametrize("field", ["amount", "position"])
@pytest.mark.parametrize("value", ["0", "-5", "5"])
def test_amounts_and_positions_have_any_sign(field: str, value: str) -> None:
    """A rebate is a negative fee, a short position a negative quantity."""
    assert getattr(Door.model_validate({field: value}), field) == Decimal(value)


@pytest.mark.parametrize("number", ["0.1", "1e400", "NaN", "123456789012345678901234567890"])
def test_a_json_number_that_a_float_cannot_hold_is_refused(number: str) -> None:
    """Read from JSON text, the digits are gone before we could look at them."""
    with pytest.raises(ValidationError):
        Door.model_validate_json(f'{{"quantity": {number}}}')


def test_a_door_reads_back_what_it_wrote() -> None:
    """Pydantic would write 1E-7, which no door takes."""
    door = Door.model_validate({"quantity": "0.0000001", "amount": "-2.50"})
    written = door.model_dump_json()
    assert '"0.0000001"' in written
    assert Door.model_validate_json(written) == door
    assert type(door.model_dump()["amount"]) is Decimal


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (Decimal("1.50"), "1.5"),
        (Decimal(100), "100"),
        (Decimal("1E+2"), "100"),
        (Decimal("100.00"), "100"),
        (Decimal("1E-7"), "0.0000001"),
        (Decimal("-0.0"), "0"),
        (Decimal("0E-20"), "0"),
        (Decimal("0E+3"), "0"),
        (Decimal("-1839.20"), "-1839.2"),
    ],
)
def test_the_canonical_text_has_no_exponent_and_no_trailing_zeros(number: Decimal, text: str) -> None:
    """One number, one text."""
    assert decimal_text(number) == text


def test_neither_the_text_nor_the_doors_depend_on_the_ambient_context() -> None:
    """A host may have set its own: a small precision, and small letters for exponents."""
    with localcontext(prec=3, capitals=0):
        assert decimal_text(Decimal("123456.789")) == "123456.789"
        assert decimal_text(Decimal("1.00625E-12")) == "0.00000000000100625"
        assert parse_decimal("123456.789", "px") == Decimal("123456.789")
        assert str(Door.model_validate({"price": Decimal("1.00625E+8")}).price) == "100625000"
        for refused in ("1E+999999", "1.23456789E-15"):
            with pytest.raises(ValidationError, match="too many digits"):
                Door.model_validate({"price": Decimal(refused)})


@pytest.mark.parametrize("number", [Decimal("NaN"), Decimal("Infinity"), Decimal("-Infinity")])
def test_a_number_that_is_none_has_no_text(number: Decimal) -> None:
    """It cannot have come through a door, so a promise of ours is broken."""
    with pytest.raises(InvariantBroken, match="NUMBER_NOT_FINITE"):
        decimal_text(number)


@given(plain_texts())
def test_whatever_is_taken_is_written_and_read_as_the_same_number(text: str) -> None:
    """Reading, writing and reading again loses nothing."""
    number = parse_decimal(text, "px")
    assert parse_decimal(decimal_text(number), "px") == number == Decimal(text)


@given(plain_texts(), st.integers(min_value=0, max_value=5))
def test_equal_numbers_have_equal_texts(text: str, zeros: int) -> None:
    """However many zeros were written after the point."""
    longer = text + "0" * zeros if "." in text else text + ".0" * bool(zeros)
    assert decimal_text(Decimal(longer)) == decimal_text(Decimal(text))
