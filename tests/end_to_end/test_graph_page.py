"""The search page of a knowledge graph, as somebody uses it: the list, the drawing, and both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.end_to_end.browser import arrive, click, find, find_all, key, severe, wait
from tests.end_to_end.colours import colour, contrast, hexadecimal, luminance, rgb
from tests.web.graph_library import HOSTILE

if TYPE_CHECKING:
    from collections.abc import Callable

PATH = "/town/-/muninn/search"
SHADES = """
    const colours = new Set();
    for (const canvas of document.querySelectorAll(".muninn-canvas canvas")) {
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      for (let i = 0; i < data.length; i += 4)
        if (data[i + 3]) colours.add(data[i] << 16 | data[i + 1] << 8 | data[i + 2]);
    }
    return colours.size;
"""
CY = "const cy = document.querySelector('.muninn-canvas')._cyreg.cy;"


@pytest.fixture
def page(server: str, browse: Any) -> Callable[..., Any]:
    """Opens the page of a search."""

    def open_page(parameters: str = "q=bread", **options: Any) -> Any:
        dark = options.pop("dark", False)
        browser = browse(**options)
        if dark:
            features = [{"name": "prefers-color-scheme", "value": "dark"}]
            browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        browser.get(f"{server}{PATH}?{parameters}")
        return browser

    return open_page


def test_every_row_is_drawn_with_its_edges(page: Any) -> None:
    browser = page()
    rows = find_all(browser, ".muninn-ranked > li")
    drawn = browser.execute_script(CY + "return cy.nodes('.node').map(n => n.id())")
    assert {row.get_attribute("data-node") for row in rows} <= set(drawn)
    ranks = browser.execute_script(CY + "return cy.nodes('.rank').map(n => n.data('rank'))")
    assert sorted(map(int, ranks)) == list(range(1, len(rows) + 1))
    edges = browser.execute_script(
        CY + "return cy.edges().map(e => [e.source().data('label'), e.data('type'),"
        " e.target().data('label'), e.style('target-arrow-shape')])"
    )
    assert ["Cleo", "works at", "The mill", "triangle"] in edges
    assert severe(browser) == []


def test_the_drawing_is_not_blank_and_nodes_are_where_the_server_put_them(page: Any) -> None:
    browser = page()
    wait(lambda: browser.execute_script(SHADES) > 20, "more than 20 shades")
    moved = browser.execute_script(
        "const given = JSON.parse(document.getElementById('muninn-graph-data').textContent).nodes;"
        + CY
        + "return given.filter(n => { const p = cy.getElementById(n.id).position();"
        " return p.x !== n.x || p.y !== n.y; }).length"
    )
    assert moved == 0
    inside = browser.execute_script(
        CY + "const b = cy.elements().renderedBoundingBox();"
        "return b.x1 >= 0 && b.y1 >= 0 && b.x2 <= cy.width() && b.y2 <= cy.height()"
    )
    assert inside


def test_kinds_of_nodes_differ_in_shape(page: Any) -> None:
    """The fault: only a colour tells matches from what they lead to."""
    browser = page("q=flour&_size=4&expand_hops=4")
    shapes = browser.execute_script(
        CY + "return cy.nodes('.node').map(n => [n.data('shape'), n.style('shape')])"
    )
    kinds = {(kind, shape) for kind, shape in map(tuple, shapes)}
    assert ("seed", "round-rectangle") in kinds
    assert ("reached", "ellipse") in kinds
    assert len({shape for _, shape in kinds}) == len({kind for kind, _ in kinds})


def test_keys_go_from_node_to_node_and_open_the_row(page: Any) -> None:
    browser = page()
    canvas = find(browser, ".muninn-canvas")
    canvas.send_keys(key("ARROW_RIGHT"))
    find(browser, ".muninn-ranked > li[aria-current][value='1']")
    said = find(browser, ".muninn-said")
    assert "result 1" in said.text
    assert said.get_attribute("aria-live") == "polite"
    canvas.send_keys(key("ARROW_RIGHT"))
    second = find(browser, ".muninn-ranked > li[aria-current][value='2']")
    chosen = browser.execute_script(CY + "return cy.nodes('.chosen').map(n => n.id())")
    assert chosen == [second.get_attribute("data-node")]
    canvas.send_keys(key("ESCAPE"))
    wait(lambda: find_all(browser, ".muninn-ranked > li[aria-current]") == [], "none is chosen")
    canvas.send_keys(key("HOME"))
    url = find(browser, ".muninn-ranked > li[aria-current] h2 a").get_attribute("href")
    canvas.send_keys(key("ENTER"))
    arrive(browser, url)


def test_tab_passes_through_list_and_drawing(page: Any) -> None:
    """The fault: a focus that cannot leave the drawing, or cannot reach it."""
    browser = page("q=bread&_size=2")
    seen = []
    for _ in range(25):
        browser.switch_to.active_element.send_keys(key("TAB"))
        seen.append(browser.execute_script("return document.activeElement.className || ''"))
    places = [at for at, name in enumerate(seen) if "muninn-canvas" in name]
    assert places
    assert places[0] < len(seen) - 1
    assert "muninn-canvas" not in seen[places[0] + 1]


def test_a_click_on_a_node_finds_its_row_and_a_row_its_node(page: Any) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    browser = page()
    canvas = find(browser, ".muninn-canvas")
    row = find_all(browser, ".muninn-ranked > li")[2]
    id_ = row.get_attribute("data-node")
    x, y = browser.execute_script(
        CY + "const p = cy.getElementById(arguments[0]).renderedPosition();"
        "return [p.x - cy.width() / 2, p.y - cy.height() / 2]",
        id_,
    )
    ActionChains(browser).move_to_element_with_offset(canvas, int(x), int(y)).click().perform()
    assert find(browser, ".muninn-ranked > li[aria-current]").get_attribute("data-node") == id_
    link = find_all(browser, ".muninn-ranked > li h2 a")[0]
    browser.execute_script("arguments[0].focus()", link)
    first = find_all(browser, ".muninn-ranked > li")[0].get_attribute("data-node")
    chosen = browser.execute_script(CY + "return cy.nodes('.chosen').map(n => n.id())")
    assert chosen == [first]


def test_a_row_shows_the_path_of_its_reason(page: Any) -> None:
    browser = page()
    canvas = find(browser, ".muninn-canvas")
    paths = browser.execute_script(
        "return JSON.parse(document.getElementById('muninn-graph-data').textContent).paths"
    )
    assert paths
    for rank in range(1, 1 + len(find_all(browser, ".muninn-ranked > li"))):
        canvas.send_keys(key("ARROW_RIGHT"))
        chosen = find(browser, f".muninn-ranked > li[aria-current][value='{rank}']")
        id_ = chosen.get_attribute("data-node")
        marked = browser.execute_script(CY + "return cy.edges('.chosen').map(e => e.id())")
        assert sorted(marked) == sorted(f"edge {n}" for n in paths.get(id_, []))


def test_buttons_zoom_and_the_wheel_scrolls_the_page(page: Any) -> None:
    browser = page()
    before = browser.execute_script(CY + "return cy.zoom()")
    click(browser, "button[data-do=in]")
    wait(lambda: browser.execute_script(CY + "return cy.zoom()") > before, "it is nearer")
    click(browser, "button[data-do=fit]")
    same = pytest.approx(before)
    wait(lambda: browser.execute_script(CY + "return cy.zoom()") == same, "it is as it was")
    assert browser.execute_script(CY + "return cy.userZoomingEnabled()") is False
    buttons = [each for each in find_all(browser, ".muninn-tools button") if each.is_displayed()]
    names = [button.accessible_name for button in buttons]
    assert names == ["Zoom in", "Zoom out", "Whole graph"]


def test_without_scripts_there_are_the_list_and_a_still_picture(page: Any) -> None:
    browser = page(scripts=False)
    rows = find_all(browser, ".muninn-ranked > li")
    assert rows
    assert find_all(browser, ".muninn-canvas canvas") == []
    for selector in (".muninn-canvas", ".muninn-bar"):
        assert not find(browser, selector).is_displayed()
    drawn = {text.text for text in find_all(browser, ".muninn-svg .muninn-digit")}
    assert drawn == {str(n) for n in range(1, len(rows) + 1)}
    assert len(find_all(browser, ".muninn-svg line")) >= 3
    box = find(browser, ".muninn-svg").rect
    for text in find_all(browser, ".muninn-svg text"):
        assert box["x"] <= text.rect["x"]
        assert text.rect["x"] + text.rect["width"] <= box["x"] + box["width"]
        assert box["y"] <= text.rect["y"]
        assert text.rect["y"] + text.rect["height"] <= box["y"] + box["height"]
    whys = [why.text for why in find_all(browser, ".muninn-why")]
    assert len(whys) == len(rows)
    assert all(whys)
    details = find(browser, ".muninn-parts")
    details.find_element("css selector", "summary").send_keys(key("ENTER"))
    wait(lambda: "fused" in details.text, "the parts show")
    box = find(browser, "#muninn-q")
    box.clear()
    box.send_keys("steel" + key("ENTER"))
    arrive(browser, "q=steel")
    assert find_all(browser, ".muninn-ranked > li")


def test_a_picture_leads_to_the_rows_without_scripts(page: Any) -> None:
    browser = page("q=bread&_size=3", scripts=False)
    address = find(browser, ".muninn-svg a").get_dom_attribute("href")
    assert "/town/" in address
    click(browser, ".muninn-svg a .muninn-digit")
    arrive(browser, address)


def test_scripts_take_the_place_of_the_picture(page: Any) -> None:
    browser = page()
    assert find_all(browser, ".muninn-svg") == []
    for selector in (".muninn-canvas", ".muninn-bar"):
        assert find(browser, selector).is_displayed()


def test_filters_are_in_the_address_and_nothing_else(page: Any) -> None:
    browser = page()
    click(browser, ".muninn-filters > summary")
    click(browser, "input[name=node_types][value=baker]")
    click(browser, ".muninn-filters input[type=submit]")
    arrive(browser, "node_types")
    assert browser.current_url.endswith(f"{PATH}?q=bread&node_types=baker")
    types = {each.text for each in find_all(browser, ".muninn-score .muninn-table")}
    assert types == {"baker"}
    assert find(browser, "input[name=node_types][value=baker]").is_selected()


def test_a_question_to_begin_with(page: Any) -> None:
    browser = page("")
    question = find(browser, ".muninn-questions a")
    assert question.text == "Who bakes bread?"
    question.click()
    arrive(browser, "?q=")
    assert find(browser, "#muninn-q").get_attribute("value") == "Who bakes bread?"
    assert find_all(browser, ".muninn-ranked > li")


def test_hostile_labels_are_text_wherever_they_show(page: Any) -> None:
    browser = page("q=rye+hostile")
    canvas = find(browser, ".muninn-canvas")
    for _ in range(12):
        canvas.send_keys(key("ARROW_RIGHT"))
        if HOSTILE[:20] in find(browser, ".muninn-said").text:
            break
    assert HOSTILE in find(browser, ".muninn-said").text
    assert HOSTILE in find(browser, ".muninn-ranked").text
    assert find_all(browser, "img") == []
    assert severe(browser) == []  # nor did an alert stop us


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_text_and_shapes_stand_out(page: Any, dark: bool) -> None:
    browser = page("q=bread&explain=1&node_types=baker&expand_hops=1", dark=dark)
    click(browser, ".muninn-filters > summary")
    ground = colour(browser, "body", "backgroundColor")
    assert (luminance(ground) < 0.05) is dark
    selectors = ["h1", ".muninn-ranked h2 a", ".muninn-why", ".muninn-snippet", ".muninn-note"]
    selectors += [".muninn-parts summary", ".muninn-score", ".muninn-legend li", ".muninn-said"]
    selectors += [".muninn-stages li", ".muninn-count a"]
    for selector in selectors:
        assert contrast(ground, colour(browser, selector, "color")) >= 4.5, selector
    paper = colour(browser, ".muninn-filters", "backgroundColor")
    for selector in (".muninn-check", ".muninn-filters legend", ".muninn-filters .muninn-note"):
        assert contrast(paper, colour(browser, selector, "color")) >= 4.5, selector
    script = CY + "return cy.nodes(arguments[0]).map(n => n.style(arguments[1]))"
    letters = set(browser.execute_script(script, ".node", "color"))
    assert all(contrast(ground, rgb(text)) >= 4.5 for text in letters)
    fills = browser.execute_script(script, ".node", "background-color")
    assert all(contrast(ground, rgb(text)) >= 3 for text in fills)
    digits = browser.execute_script(
        CY + "return cy.nodes('.rank').map(n => [n.style('color'),"
        " cy.getElementById(n.data('of')).style('background-color')])"
    )
    assert all(contrast(rgb(one), rgb(other)) >= 4.5 for one, other in digits)
    lines = browser.execute_script(CY + "return cy.edges().map(e => e.style('line-color'))")
    assert all(contrast(ground, rgb(text)) >= 3 for text in lines)


def test_all_colours_of_types_stand_out(page: Any) -> None:
    for dark in (False, True):
        browser = page(dark=dark)
        ground = colour(browser, "body", "backgroundColor")
        values = browser.execute_script(
            "const s = getComputedStyle(document.body);"
            "return ['on-type', 0, 1, 2, 3, 4, 5, 6, 7].map("
            "n => s.getPropertyValue(n === 'on-type' ? '--muninn-on-type' : `--muninn-type-${n}`))"
        )
        digit, *fills = map(hexadecimal, values)
        assert all(contrast(ground, fill) >= 3 for fill in fills)
        assert all(contrast(digit, fill) >= 4.5 for fill in fills)


def test_a_phone_has_the_graph_below_the_list_and_nothing_too_wide(page: Any) -> None:
    browser = page("q=bread&explain=1", width=500)
    wide = browser.execute_script("return document.documentElement.scrollWidth > innerWidth")
    assert not wide
    list_, graph = find(browser, ".muninn-ranked").rect, find(browser, ".muninn-graph").rect
    assert graph["y"] >= list_["y"] + list_["height"]
    assert graph["width"] <= 500
    link = find(browser, ".muninn-to-graph a")
    assert link.is_displayed()
    click(browser, ".muninn-filters > summary")
    wide = browser.execute_script("return document.documentElement.scrollWidth > innerWidth")
    assert not wide


@pytest.mark.parametrize("parameters", ["", "&_size=0", "&node_types=zzz"])
def test_a_word_without_end_is_broken_on_a_phone(page: Any, parameters: str) -> None:
    """The fault: the line that says it again made the page as wide as the word."""
    browser = page(f"q={'x' * 300}{parameters}", width=500)
    wide = browser.execute_script("return document.documentElement.scrollWidth > innerWidth")
    assert not wide


AT_REST = """
    const done = arguments[0];
    let last = [], same = 0;
    const look = () => {
      const now = [scrollY, cy.pan().y];
      same = now[0] === last[0] && now[1] === last[1] ? same + 1 : 0;
      last = now;
      if (same > 20) done(now); else requestAnimationFrame(look);
    };
    look();
"""


def test_a_finger_scrolls_the_page_unless_it_is_to_move_the_drawing(page: Any) -> None:
    """The fault: a drawing that fills a phone's screen, and cannot be left."""
    browser = page("q=bread", width=400, height=800, touch=True)
    middle = "document.querySelector('.muninn-canvas').scrollIntoView({block: 'center'})"

    def at_rest() -> list[float]:
        """How far page and drawing have moved, once neither moves on for some frames."""
        return list(browser.execute_async_script(CY + AT_REST))

    def swipe_from(place: str) -> tuple[float, float]:
        """How far one of them is moved by it, and the other perhaps."""
        browser.execute_script(middle)
        scrolled, moved = at_rest()
        x, y = browser.execute_script(
            CY + "const box = document.querySelector('.muninn-canvas').getBoundingClientRect();"
            f"const at = {place}; return [box.x + at.x, box.y + at.y]"
        )
        touch(browser, "touchStart", x, y)
        for step in range(1, 6):  # the first one is too far for a finger that rests
            touch(browser, "touchMove", x, y + 24 * step)
        touch(browser, "touchEnd")
        state = CY + "return Math.abs(scrollY - arguments[0]) + Math.abs(cy.pan().y - arguments[1])"
        wait(lambda: browser.execute_script(state, scrolled, moved) > 50, "something moves")
        after = at_rest()
        return after[0] - scrolled, after[1] - moved

    ground, node = "{x: 5, y: 100}", "cy.nodes('.node')[0].renderedPosition()"
    for place in (ground, node):
        scrolled, moved = swipe_from(place)
        assert scrolled < -50, place
        assert moved == 0
    assert find_all(browser, ".muninn-ranked > li[aria-current]") == [], "a swipe is no tap"
    x, y, before = browser.execute_script(
        CY + "const box = document.querySelector('.muninn-canvas').getBoundingClientRect();"
        f"const at = {node}; return [box.x + at.x, box.y + at.y, scrollY]"
    )
    touch(browser, "touchStart", x, y)
    touch(browser, "touchEnd")
    find(browser, ".muninn-ranked > li[aria-current]")
    assert at_rest()[0] == before, "the drawing stays in sight"
    button = find(browser, "button[data-do=move]")
    browser.execute_script("arguments[0].click()", button)
    assert button.get_attribute("aria-pressed") == "true"
    scrolled, moved = swipe_from(ground)
    assert scrolled == 0
    assert moved > 50


def touch(browser: Any, kind: str, x: float = 0, y: float = 0) -> None:
    points = [] if kind == "touchEnd" else [{"x": x, "y": y}]
    browser.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})


def test_a_wide_page_has_the_graph_beside_the_list(page: Any) -> None:
    browser = page(width=1300)
    list_, graph = find(browser, ".muninn-ranked").rect, find(browser, ".muninn-graph").rect
    assert graph["x"] >= list_["x"] + list_["width"]
    assert not find(browser, ".muninn-to-graph").is_displayed()


def test_names_for_screen_readers(page: Any) -> None:
    browser = page()
    canvas = find(browser, ".muninn-canvas")
    assert "Graph of the results" in canvas.accessible_name
    assert canvas.aria_role == "application"
    assert find(browser, "#muninn-q").accessible_name == "Find"
    assert {meter.accessible_name for meter in find_all(browser, "meter")} == {
        "score, beside the best"
    }
    for field in find_all(browser, ".muninn-filters select, .muninn-filters input[type=text]"):
        assert browser.execute_script("return arguments[0].labels.length", field) == 1
    levels = browser.execute_script(
        "return [...document.querySelectorAll('h1, h2, h3')].map(h => h.tagName)"
    )
    assert levels.count("H1") == 1
    assert levels[0] == "H1"
