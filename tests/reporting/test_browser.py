"""The report in a real browser, on a wide and on a narrow screen."""

import os
import re
import shutil

import numpy as np
import pytest

WIDTHS = (1200, 400)

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
        "return [...document.querySelectorAll('svg[role], table')].filter(e => e.checkVisibility())"
        ".map(e => e.getBoundingClientRect().toJSON())"
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
        show(browser, address, 1200, theme)
        script = "return ['body', 'svg text'].map(name => getComputedStyle(document.querySelector(name)))"
        script += ".map((style, place) => place ? style.fill : style.backgroundColor)"
        colors[theme] = [sum(map(int, color[4:-1].split(","))) for color in browser.execute_script(script)]
    assert colors["light"][0] > 700 > 200 > colors["light"][1]
    assert colors["dark"][0] < 200 < 600 < colors["dark"][1]


def test_every_drawing_and_table_has_a_name(browser, address):
    show(browser, address, 1200)
    names = browser.execute_script(
        "return [...document.querySelectorAll('svg[role]')].map(e => "
        "[e.getAttribute('role'), document.getElementById(e.getAttribute('aria-labelledby')).textContent])"
    )
    assert len(names) >= 7
    assert {role for role, _ in names} == {"img"}
    assert all(len(name) > 10 for _, name in names)
    captions = browser.execute_script("return [...document.querySelectorAll('table')].map(e => e.caption.textContent)")
    assert all(captions)


@pytest.fixture
def whole(browser, page, tmp_path) -> str:
    """The page with all there is, as a wide screen shows it."""
    path = tmp_path / "report.html"
    path.write_text(page, encoding="utf-8")
    show(browser, path.as_uri(), 1200)
    return path.as_uri()


#: The first of the tables of modes.
MODES = "#dynamics table:first-of-type"


def column(browser, number: int) -> list[float]:
    """What stands in a column of the modes' table, from above."""
    cells = browser.find_elements("css selector", f"{MODES} tbody td:nth-of-type({number})")
    return [float(cell.text.split()[0].replace("−", "-")) for cell in cells]


def sorting(browser) -> list[str | None]:
    """How each column of the modes' table is sorted, as a screen reader hears it."""
    return [head.get_attribute("aria-sort") for head in browser.find_elements("css selector", f"{MODES} thead th")]


@pytest.mark.parametrize("key", ["\ue007", " ", None], ids=["enter", "space", "click"])
def test_a_table_is_sorted_by_keys_and_clicks(browser, whole, key):
    before, frequencies = column(browser, 2), column(browser, 1)
    button = browser.find_elements("css selector", "#dynamics thead button")[2]
    for order, state in ((sorted(before), "ascending"), (sorted(before)[::-1], "descending"), (before, "none")):
        button.click() if key is None else button.send_keys(key)
        assert column(browser, 2) == order
        assert sorting(browser) == [None, None, state, None]
    assert column(browser, 1) == frequencies
    assert browser.get_log("browser") == []


def test_a_heading_is_reached_by_tab_and_names_sort_as_numbers(browser, whole):
    link = browser.find_elements("css selector", "nav a")[-1]
    browser.execute_script("arguments[0].focus()", link)
    link.send_keys("\ue004")
    focused = browser.switch_to.active_element
    assert focused.tag_name == "button"
    assert focused.text == "rates of"
    order = browser.execute_script("return ['mode 10', 'mode 9', 'x'].sort(order)")
    assert order == ["mode 9", "mode 10", "x"]
    assert browser.execute_script("return ['-0.5', '1e3', '20'].sort(order)") == ["-0.5", "20", "1e3"]


def places(browser) -> np.ndarray:
    """Where the points of all lines of the drawing in three dimensions are."""
    lines = browser.find_elements("css selector", "svg[data-turning] polyline")
    return np.array([float(number) for line in lines for number in re.split("[ ,]", line.get_attribute("points"))])


def test_three_latents_turn_by_keys_and_by_dragging(browser, whole):
    from selenium.webdriver import ActionChains

    drawing = browser.find_element("css selector", "svg[data-turning]")
    drawn = places(browser)
    assert len(drawn) > 100
    for key in ("\ue012", "\ue013", "\ue014", "\ue015"):  # left, up, right, down
        before = places(browser)
        drawing.send_keys(key)
        assert 1 < np.abs(places(browser) - before).max() < 30
    for key in ("\ue012", "\ue013", "\ue011"):  # and home
        drawing.send_keys(key)
    # Python drew it first, and the script draws it again: both project alike.
    np.testing.assert_allclose(places(browser), drawn, atol=0.11)
    ActionChains(browser).drag_and_drop_by_offset(drawing, 60, 20).perform()
    assert np.abs(places(browser) - drawn).max() > 10
    browser.execute_script("scrollTo(0, 0)")
    drawing.send_keys("\ue015")
    assert browser.get_log("browser") == []
    hint = browser.find_element("id", drawing.get_attribute("aria-describedby"))
    assert "arrow keys" in hint.text


def test_without_scripts_it_is_a_page_to_read(browser, page, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(page, encoding="utf-8")
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        show(browser, path.as_uri(), 1200)
        assert not browser.find_elements("css selector", "thead button, .hint")
        assert browser.find_element("css selector", "#dynamics thead").text.startswith("mode")
        assert all(line.get_attribute("points") for line in browser.find_elements("css selector", "polyline"))
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_no_other_script_runs(browser, whole):
    browser.execute_script(
        "const other = document.createElement('script'); other.textContent = 'window.hacked = 1';"
        "document.body.append(other); const image = document.createElement('div');"
        'image.innerHTML = \'<img src="data:," onerror="window.hacked = 2">\'; document.body.append(image);'
    )
    assert browser.execute_async_script("setTimeout(() => arguments[0](window.hacked ?? null), 300)") is None
    messages = [entry["message"] for entry in browser.get_log("browser")]
    assert any("Content Security Policy" in message for message in messages)
