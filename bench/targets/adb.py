"""`adb[:SERIAL]`: an Android phone, by Android's own `adb`."""

from __future__ import annotations

import re
from contextlib import suppress

from sparsr.bench.targets.remote import Remote
from sparsr.runtime.errors import SparsrError

_PROPERTIES = {"name": "ro.product.model", "chip": "ro.soc.model", "Android": "ro.build.version.release"}
_THERMAL = re.compile(r"^Thermal Status: (\d+)$", re.M)
_THERMAL_STATUS = ("none", "light", "moderate", "severe", "critical", "emergency", "shutdown")
_BATTERY = re.compile(r"^\s*(level|temperature):\s*(\d+)", re.M)


class Adb(Remote):
    """A phone, or an emulator of one, whose figures then are not measured ones."""

    base = "${TMPDIR:-/data/local/tmp}"

    def __init__(self, address: str = "") -> None:
        super().__init__()
        if address and not re.fullmatch(r"[A-Za-z0-9_\[][A-Za-z0-9._:\[\]-]{0,99}", address):
            raise SparsrError(f"{address[:100]!r} is not a serial number", "`adb devices` lists them")
        self.name = f"adb:{address}" if address else "adb"
        self._serial = ["-s", address] if address else []

    def command(self, line: str) -> list[str]:
        """By `adb shell`, without a terminal, so that bytes pass unchanged."""
        return ["adb", *self._serial, "shell", "-T", line]

    def architecture(self) -> str:
        """By its binary interface: a 64-bit kernel may run 32-bit programs alone."""
        return self._property("ro.product.cpu.abi") or super().architecture()

    def more_facts(self) -> dict[str, str]:
        """Model, chip, release."""
        facts = {name: self._property(key) for name, key in _PROPERTIES.items()}
        if "1" in (self._property("ro.kernel.qemu"), self._property("ro.boot.qemu")):
            self.source = "emulated"
        return {name: value for name, value in facts.items() if value}

    def condition(self) -> dict[str, str]:
        """Temperatures, battery, and the phone's own word on how hot it is."""
        facts = super().condition()
        with suppress(SparsrError):
            battery = dict(_BATTERY.findall(self.shell("dumpsys battery").decode(errors="replace")))
            if "level" in battery:
                facts["battery"] = f"{battery['level']} %"
            if "temperature" in battery:
                facts["battery temperature"] = f"{int(battery['temperature']) / 10:.1f} C"
        with suppress(SparsrError):
            thermal = _THERMAL.search(self.shell("dumpsys thermalservice").decode(errors="replace"))
            if thermal and int(thermal[1]) < len(_THERMAL_STATUS):
                facts["thermal status"] = _THERMAL_STATUS[int(thermal[1])]
        return facts

    def _property(self, key: str) -> str:
        with suppress(SparsrError):
            return self.shell(f"getprop {key}").decode(errors="replace").strip()
        return ""
