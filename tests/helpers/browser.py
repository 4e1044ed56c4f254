"""A headless Chromium, which `make browser` installs, and pages that it opens from disk."""

import base64
import gzip
import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
MISSING = None if CHROMIUM and DRIVER else "needs Chromium and its driver: make browser"
NOBODY = "--proxy-server=127.0.0.1:9"  # nothing answers there, so that all requests fail


def start(downloads, size=(1400, 2000)):
    """Start a browser that saves files to a folder and notes requests and messages."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    window = "--window-size={},{}".format(*size)
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", NOBODY, window):
        options.add_argument(argument)
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return webdriver.Chrome(options=options, service=Service(DRIVER))


def opened(driver, path):
    """Open a page and wait until it has drawn itself; return the seconds that it says it took."""
    from selenium.webdriver.support.ui import WebDriverWait

    driver.get(Path(path).absolute().as_uri())
    drawn = "return document.documentElement.dataset.drawn"
    return int(WebDriverWait(driver, 20, 0.02).until(lambda d: d.execute_script(drawn))) / 1000


def requests(driver):
    """Addresses that were asked for since the last call."""
    entries = (json.loads(entry["message"])["message"] for entry in driver.get_log("performance"))
    sent = [e["params"] for e in entries if e["method"] == "Network.requestWillBeSent"]
    return [params["request"]["url"] for params in sent]


def contents(path):
    """What a page is told, as Python has it, and its scores."""
    text = Path(path).read_text()
    packed = dict(re.findall(r'<script type="text/plain" id="packed-(\w+)">(.*?)</script>', text))
    data, scores = (gzip.decompress(base64.b64decode(packed[name])) for name in ("data", "scores"))
    numbers = np.frombuffer(scores, np.uint8).reshape(8, -1).T.copy().view("<f8")[:, 0]
    return json.loads(data), numbers


if __name__ == "__main__":  # python tests/helpers/browser.py PAGE PICTURE [WIDTH HEIGHT]
    page, picture, *wanted = sys.argv[1:]
    browser = start(Path.cwd(), tuple(map(int, wanted)) or (1400, 1300))
    opened(browser, page)
    browser.save_screenshot(picture)
    browser.quit()
