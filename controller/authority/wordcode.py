"""Writes a digest as a few words, so that two persons can compare by voice what they sign. The CLI and the console show it.

Six words hold 48 bits. That reveals a mix-up or an unprepared forgery; the signature covers the whole digest.
"""

from __future__ import annotations

import re

from exchange.errors import UsageError

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")

_LIST = """
academy active album almanac ambush anchor antique appetite april arrow atlas autumn bakery balcony ballet bamboo
banjo barrel bazaar beaver bicycle bishop blanket blossom bonfire bottle brandy bridge bronze bucket buffalo butter
cabbage cactus canary canvas caribou cashew castle cathedral cedar cello cherry chimney cinnamon circus clover coconut
coffee comet compass coral cotton cousin crater cricket crusade crystal curtain cyclone daisy dancer delta denim
desert diamond dinosaur doctor dolphin domino dragon dryer eagle earring eclipse elbow elephant embassy emerald
english envoy epoch ermine evening fabric fanfare fantasy feather ferret festival fiction figure firefly flamingo
flannel forest fossil fountain freckle frigate galaxy garlic gazelle gecko geyser giraffe glacier goblet golden
gorilla granite gravel guitar gymnast hammer harbor harvest hazel hedgehog helmet hexagon hickory holiday horizon
hospital hurricane iceberg igloo indigo insect island ivory jaguar jamboree jasmine jersey jigsaw journey jubilee
juniper kayak kernel ketchup kidney kitchen kiwi koala ladder lagoon lantern laptop lavender lemon leopard library
lily lizard lobster lotus lounge lunar magnet mahogany mammoth marble meadow mercury mermaid meteor mirror mitten
monsoon morning mosaic muffin museum mustard napkin nectar needle nephew nickel northern notebook nutmeg oasis oboe
ocean octopus olive onion opera orchid osprey ottoman outback oxygen panther paper parachute pastry pebble pelican
perfume piano pigeon pillow pirate platinum polar poppy potato pottery prairie pudding pumpkin python quail quartz
quiver rabbit raccoon radish rhubarb ribbon robin rosemary ruby saffron salmon satin scarlet shampoo silver spider
sunset tadpole temple thistle timpani trumpet tulip turtle umbrella vampire vendor violin volcano waffle walnut winter
wisdom wombat yogurt zebra zephyr
"""

WORDS = tuple(_LIST.split())
"""256 words, one per byte value. Any two differ in at least three letters, and within their first four letters."""


def word_code(digest: str, words: int = 6) -> str:
    """Return the first ``words`` bytes of a ``sha256:<hex>`` digest as words joined by hyphens.

    Raises:
        UsageError: the text is not such a digest, or the number of words is not 4 to 32.
    """
    if not _DIGEST.fullmatch(digest) or not 4 <= words <= 32:
        raise UsageError(
            f"{digest[:80]!r} cannot be written as {words} words",
            code="not-a-digest",
            remedy="Give a digest as sha256: and 64 hexadecimal digits, and a number of words from 4 to 32.",
        )
    return "-".join(WORDS[byte] for byte in bytes.fromhex(digest[7:])[:words])
