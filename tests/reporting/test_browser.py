"""The report in a real browser, on a wide and on a narrow screen."""

import os
import shutil

import pytest

WIDTHS = (1280, 400)

#: Every SVG image is decoded anew, since an SVG <image> does not tell whether it loaded.
IMAGES = """
const done = arguments[0];
const found = [...document.querySelectorAll("image")];
Promise.all(found.map(async element => {
  const image = new Image();
  image.src = element.getAttribute("href").replace(/\\s/g, "");
  await image.decode();
  const box = element.getBoundingClientRect();
  return [image.naturalWidth, image.naturalHeight, box.width, box.height];
})).then(done, error => done(String(error)));
"""

#: Left and right edge, and size in pixels on the screen, of every text in a drawing.
TEXTS = """
return [...document.querySelectorAll("svg text")].map(element => {
  const box = element.getBoundingClientRect(), drawing = element.ownerSVGElement;
  const scale = drawing.getBoundingClientRect().width / drawing.viewBox.baseVal.width;
  return [element.textContent, box.left, box.right, parseFloat(getComputedStyle(element).fontSize) * scale];
});
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    names = ("chromium", "chromium-browser", "google-chrome")
    program = next(filter(None, map(shutil.which, names)), None)
    if program is None:
        pytest.skip(f"needs a browser: none of {', '.join(names)} is installed")
    driver = shutil.which("chromedriver")
    if driver is None:
        pytest.skip("needs chromedriver beside the browser: it is not installed")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = program
    for flag in (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        f"--user-data-dir={tmp_path_factory.mktemp('browser')}",
    ):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(driver, log_output=os.devnull)
    chrome = webdriver.Chrome(options, service)
    yield chrome
    chrome.quit()


@pytest.fixture(scope="module", params=["all there is", "as little as there can be"])
def address(request, page, single, tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("pages") / "report.html"
    if request.param == "all there is":
        path.write_text(page, encoding="utf-8")
    else:
        single.write(path)
    return path.as_uri()


def show(browser, address: str, width: int, theme: str = "light") -> None:
    screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    scheme = {"name": "prefers-color-scheme", "value": theme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    browser.get(address)


@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_fits_the_screen(browser, address, width):
    show(browser, address, width)
    assert browser.execute_script("return innerWidth") == width
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert browser.get_log("browser") == []
    for box in browser.execute_script(
        "return [...document.querySelectorAll('svg, table')].map(e => e.getBoundingClientRect().toJSON())"
    ):
        assert box["width"] > 150
        assert box["height"] > 40
        assert -1 <= box["left"] < box["right"] <= width + 1


@pytest.mark.parametrize("width", WIDTHS)
def test_every_image_is_loaded(browser, address, width):
    show(browser, address, width)
    images = browser.execute_async_script(IMAGES)
    assert len(images) >= 7
    assert all(min(sizes) > 0 for sizes in images), images


@pytest.mark.parametrize("width", WIDTHS)
def test_drawn_text_is_on_the_screen_and_large_enough(browser, address, width):
    show(browser, address, width)
    texts = browser.execute_script(TEXTS)
    assert len(texts) > 50
    for text, left, right, size in texts:
        assert left >= 0, text
        assert right <= width, text
        assert size >= 9, text


def test_a_dark_screen_gets_a_dark_page(browser, address):
    colors = {}
    for theme in ("light", "dark"):
        show(browser, address, 1280, theme)
        script = "return ['body', 'svg text'].map(name => getComputedStyle(document.querySelector(name)))"
        script += ".map((style, place) => place ? style.fill : style.backgroundColor)"
        colors[theme] = [sum(map(int, color[4:-1].split(","))) for color in browser.execute_script(script)]
    assert colors["light"][0] > 700 > 200 > colors["light"][1]
    assert colors["dark"][0] < 200 < 600 < colors["dark"][1]
