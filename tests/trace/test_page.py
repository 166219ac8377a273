"""The page of a trace in a real browser, where there is one: keys, addresses, width, errors."""

import html
import json
import re
import shutil
import subprocess

import numpy as np
import pytest

import netlayers as nl

L = nl.layers
BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")


def page(name):
    rng = np.random.default_rng(0)
    if name == "small":
        layers = [L.Dense(2, "sigmoid", name="hidden"), L.Dense(2, "sigmoid", name="output")]
        model = nl.Sequential(layers, seed=0, name="2-2-2")
        model.compile(nl.optimizers.SGD(0.5), "mse")
        return model.trace([[0.05, 0.1]], [[0.01, 0.99]])
    block = [L.BatchNormalization(), L.Dense(64, "relu"), L.Dropout(0.2), L.Dense(64)]
    heads = [[L.Dense(9, "elu"), L.Dense(3)], L.Dense(3)]
    layers = [L.Dense(64, "tanh"), L.Residual(block), L.Parallel(heads, merge="add")]
    model = nl.Sequential(layers, seed=0, name="a_network_with_a_very_long_name_" * 4)
    loss = nl.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(nl.optimizers.AdamW(global_clipnorm=0.1), loss)
    return model.trace(rng.normal(size=(32, 64)), rng.integers(0, 3, 32))


def run(tmp_path, text, *options, address=""):
    """Open a page, and return its document as it then is, and what the browser complained of."""
    path = tmp_path / "page.html"
    path.write_text(text, encoding="utf-8")
    command = [BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", "--enable-logging=stderr"]
    command += ["--virtual-time-budget=5000", *options, "--dump-dom", f"{path.as_uri()}{address}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, re.findall(r".*CONSOLE.*", done.stderr)


def asked(text, script):
    """Put a script at the end of a page, and its answer into an attribute of the document."""
    answer = "document.documentElement.dataset.answer = JSON.stringify(answer());"
    more = (
        "<script>window.errors = []; window.addEventListener('error', e => errors.push(e.message));"
        "</script>"
    )
    tail = f"<script>function answer() {{ {script} }} {answer}</script></body>"
    return text.replace("<head>", f"<head>{more}", 1).replace("</body>", tail)


def answer_in(document):
    found = re.search(r'<html[^>]* data-answer="(.*?)"', document)
    assert found, document[:500]
    return json.loads(html.unescape(found[1]))


KEYS = """
  const press = key => document.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true}));
  const where = () => {
    const on = Array.from(document.querySelectorAll(".step")).map((s, i) => [s, i + 1])
      .filter(([s]) => getComputedStyle(s).display !== "none");
    return [on.map(([s, i]) => i).join(), location.hash, document.getElementById("at").textContent];
  };
"""


def answer_at(width, tmp_path, trace, script):
    """Return the answer of a script that looks at a page in a frame of a width.

    The window of the browser itself has a least width.
    """
    inner = html.escape(trace.html())
    find = 'const frame = document.querySelector("iframe"), inside = frame.contentDocument;'
    tail = f"function answer() {{ {find} {script} }}"
    tail += "document.documentElement.dataset.answer = JSON.stringify(answer());"
    outer = (
        f'<html><body><iframe style="border:0;width:{width}px;height:760px" srcdoc="{inner}">'
        f"</iframe><script>addEventListener('load', () => {{ {tail} }});</script></body></html>"
    )
    document, _ = run(tmp_path, outer, "--window-size=1400,900")
    return answer_in(document)


@pytest.mark.parametrize("name", ["small", "mixed"])
def test_arrow_keys_step_through_without_an_error(tmp_path, name):
    trace = page(name)
    count = len(trace.steps)
    script = (
        KEYS
        + """
      const seen = [where()];
      for (const key of ["ArrowRight", "ArrowRight", "ArrowLeft", "End", "ArrowRight", "PageUp",
                         "Home", "ArrowLeft", "PageDown", "x"]) { press(key); seen.push(where()); }
      document.getElementById("next").click(); seen.push(where());
      document.getElementById("back").click(); seen.push(where());
      document.querySelectorAll(".ticks a")[4].click(); seen.push(where());
      press("End");
      const live = document.getElementById("live").textContent;
      return {seen, live, errors: window.errors, next: document.getElementById("next").disabled};
    """
    )
    document, complaints = run(tmp_path, asked(trace.html(), script))
    answer = answer_in(document)
    steps = [1, 2, 3, 2, count, count, count - 1, 1, 1, 2, 2, 3, 2, 5]
    assert [int(on) for on, _, _ in answer["seen"]] == steps
    assert [at for _, _, at in answer["seen"]] == [f"{i} of {count}" for i in steps]
    assert answer["seen"][0][1] == ""  # the address names the step once one has moved
    assert [h for _, h, _ in answer["seen"][1:]] == [f"#step={i}" for i in steps[1:]]
    assert answer["live"] == f"Step {count} of {count}: Update, After the step"
    assert answer["next"] is True
    assert answer["errors"] == []
    assert complaints == []


def test_an_address_names_a_step_and_the_picture_shows_its_place(tmp_path):
    trace = page("small")
    script = (
        KEYS
        + """
      const lit = Array.from(document.querySelectorAll(".net.broad .on")).map(e => e.dataset.l);
      const net = document.querySelector(".net").getAttribute("class");
      return {where: where(), lit, net};
    """
    )
    i = next(i for i, s in enumerate(trace.steps) if s.phase == "backward" and s.number == 2)
    document, _ = run(tmp_path, asked(trace.html(), script), address=f"#step={i + 1}")
    answer = answer_in(document)
    assert int(answer["where"][0]) == i + 1
    assert answer["lit"] == [
        "2",
        "loss",
        "loss",
    ]  # its neurons, and the wires that the gradient comes by
    assert answer["net"] == "net live broad backward back"


@pytest.mark.parametrize("name", ["small", pytest.param("mixed", marks=pytest.mark.slow)])
@pytest.mark.parametrize("width", [360, 1280])
def test_no_step_is_wider_than_the_window(tmp_path, name, width):
    """In a frame, as the window of the browser itself has a least width."""
    script = """
      const root = inside.documentElement, wide = [];
      const steps = inside.querySelectorAll(".step").length;
      for (let i = 0; i < steps; i++) {
        if (root.scrollWidth > frame.clientWidth) wide.push([i + 1, root.scrollWidth]);
        for (const e of inside.querySelectorAll("header, main, main *, nav, nav *")) {
          let held = false;
          for (let p = e.parentElement; p; p = p.parentElement)
            held = held || /auto|scroll/.test(frame.contentWindow.getComputedStyle(p).overflowX);
          const right = e.getBoundingClientRect().right;
          if (!held && right > frame.clientWidth + 1) wide.push([i + 1, e.className, right]);
        }
        inside.dispatchEvent(new frame.contentWindow.KeyboardEvent("keydown", {key: "ArrowRight"}));
      }
      const shown = inside.querySelectorAll(".step.on").length;
      const last = inside.querySelectorAll(".step")[steps - 1].classList.contains("on");
      const small = Array.from(inside.querySelectorAll("button"))
        .filter(b => b.getBoundingClientRect().height < 44).length;
      return {inner: frame.contentWindow.innerWidth, wide, shown, last, small};
    """
    answer = answer_at(width, tmp_path, page(name), script)
    assert answer == {"inner": width, "wide": [], "shown": 1, "last": True, "small": 0}


@pytest.mark.parametrize("name", ["small", "mixed"])
def test_on_a_phone_the_network_is_drawn_whole(tmp_path, name):
    script = """
      const seen = Array.from(inside.querySelectorAll(".net"))
        .filter(n => frame.contentWindow.getComputedStyle(n).display !== "none");
      const parts = Array.from(seen[0].querySelectorAll("rect, circle, path.wire, text"));
      const sides = parts.map(p => p.getBoundingClientRect()).filter(b => b.width);
      const letters = seen[0].querySelector("text.name").getBoundingClientRect().height;
      return {kind: seen.map(n => n.classList.contains("slim")), letters,
              left: Math.min(...sides.map(b => b.left)),
              right: Math.max(...sides.map(b => b.right))};
    """
    answer = answer_at(390, tmp_path, page(name), script)
    assert answer["kind"] == [True]
    assert answer["left"] >= 0
    assert answer["right"] <= 390
    assert answer["letters"] >= 7


def test_a_wide_matrix_says_that_it_can_be_moved(tmp_path):
    script = """
      const wide = Array.from(inside.querySelectorAll(".step.on .array"));
      const is = kind => wide.map(a => a.classList.contains(kind));
      const before = [is("more"), is("ended")];
      const scroll = wide[0].querySelector(".scroll");
      scroll.scrollLeft = 10000;
      scroll.onscroll();
      const caption = wide[0].querySelector("figcaption");
      const style = frame.contentWindow.getComputedStyle(caption, "::after");
      return {before, after: is("ended"), hint: style.content, focus: scroll.tabIndex};
    """
    answer = answer_at(390, tmp_path, page("mixed"), script)
    assert answer["before"][0] == [True, False]  # x is wide, t is not
    assert answer["before"][1] == [False, True]
    assert answer["after"] == [True, True]
    assert "swipe" in answer["hint"]
    assert answer["focus"] == 0


def test_values_appear_when_they_are_computed(tmp_path):
    """Step by step, the texts that are seen in the picture: outputs, the loss, then gradients."""
    script = (
        KEYS
        + """
      const shown = () => Array.from(document.querySelectorAll(".net.broad [data-from]"))
        .filter(t => getComputedStyle(t).visibility !== "hidden")
        .map(t => t.querySelector("title") ? t.querySelector("title").textContent.split("[")[0]
                                           : "L");
      const seen = [];
      for (let i = 0; i < 14; i++) { seen.push([...new Set(shown())]); press("ArrowRight"); }
      return seen;
    """
    )
    trace = page("small")
    titles = [(step.phase, step.number) for step in trace.steps]
    seen = answer_in(run(tmp_path, asked(trace.html(), script))[0])
    assert titles[:5] == [("start", 0), *[("forward", n) for n in (1, 1, 2, 2)]]
    # The sums z are no outputs yet.
    expected = ["x", "x", "x a¹", "x a¹", "x a¹ a²", "x a¹ a² L", "x a¹ a² L"]
    assert [" ".join(s) for s in seen[:7]] == expected
    assert titles[7:11] == [("backward", n) for n in (2, 2, 1, 1)]
    gradients = [[s for s in its if s.startswith("∂L/∂z")] for its in seen[7:11]]
    assert gradients == [["∂L/∂z²"]] * 2 + [["∂L/∂z¹", "∂L/∂z²"]] * 2


def test_gradients_flow_backwards(tmp_path):
    """The edges that carry something have arrows, whose way is that of the values or gradients."""
    script = (
        KEYS
        + """
      const seen = [];
      for (let i = 0; i < 14; i++) {
        const net = document.querySelector(".net.broad");
        const on = Array.from(net.querySelectorAll(".edges.on, .wire.on"));
        const line = on.length ? on[0].querySelector("line") || on[0] : null;
        const style = line ? getComputedStyle(line) : {};
        const end = name => (style[name] || "none") !== "none";
        const names = [...new Set(on.map(e => e.dataset.l))].join();
        seen.push([names, end("markerStart"), end("markerEnd"), style.animationDirection || ""]);
        press("ArrowRight");
      }
      return seen;
    """
    )
    seen = answer_in(run(tmp_path, asked(page("small").html(), script))[0])
    ahead, back = [False, True, "normal"], [True, False, "reverse"]
    assert [s[0] for s in seen[1:11]] == ["1", "1", "2", "2", "loss", "loss", "loss", "2", "2", "1"]
    assert [s[1:] for s in seen[1:6]] == [ahead] * 5
    assert [s[1:] for s in seen[6:11]] == [back] * 5
    assert [s[1:3] for s in seen[11:]] == [[False, False]] * 3


def test_the_gradient_comes_from_where_the_output_goes(tmp_path):
    """Also where branches stand between a layer and the next one in the order."""
    heads = L.Parallel([L.Dense(2, "tanh"), L.Dense(2)], merge="add")
    model = nl.Sequential([L.Dense(3, "relu"), heads, L.Dense(1)], seed=0)
    model.compile("sgd", "mse")
    text = model.trace(np.ones((2, 2)), np.ones((2, 1))).html()
    found = re.findall(r'data-l="(\d)" data-phase="backward" data-e="([^"]*)"', text)
    # The sum is 4, the last layer 5; the first one feeds both branches.
    expected = [("5", "5"), ("3", "3"), ("2", "4"), ("2", "2"), ("4", "2 3 skip4")]
    assert found == [*expected, ("1", "2 3 skip4"), ("1", "1")]


def test_without_scripts_and_on_paper_all_steps_are_there(tmp_path):
    trace = page("small")
    count = len(trace.steps)
    script = """
      const seen = () => Array.from(document.querySelectorAll(".step"))
        .filter(s => getComputedStyle(s).display !== "none").length;
      const one = seen();
      document.documentElement.className = "";
      const all = seen(), nav = getComputedStyle(document.querySelector("nav")).display;
      document.documentElement.className = "js";
      for (const sheet of document.styleSheets)
        for (const rule of sheet.cssRules) if (rule.media && rule.conditionText === "print")
          rule.media.mediaText = "screen";
      return {one, all, nav, printed: seen()};
    """
    document, _ = run(tmp_path, asked(trace.html(), script))
    expected = {"one": 1, "all": count, "nav": "none", "printed": count}
    assert answer_in(document) == expected


@pytest.mark.slow
def test_colours_can_be_read(tmp_path):
    """Contrast of at least 4.5 (WCAG 2, AA) of every text on what is behind it, light and dark."""
    script = """
      const channel = v => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
      const light = c => .2126 * channel(c[0]) + .7152 * channel(c[1]) + .0722 * channel(c[2]);
      const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
      const over = (behind, colour) => {
        canvas.fillStyle = `rgb(${behind.join()})`; canvas.fillRect(0, 0, 1, 1);
        canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
        return Array.from(canvas.getImageData(0, 0, 1, 1).data).slice(0, 3);
      };
      const back = e => e ? over(back(e.parentElement), getComputedStyle(e).backgroundColor)
                          : [255, 255, 255];
      let least = [99];
      document.querySelectorAll(".step").forEach(s => s.classList.add("on"));
      for (const e of document.querySelectorAll("h1, h2, p, td, code, mi, mo, mn, span, button")) {
        if (!e.textContent.trim() || e.disabled) continue;
        const b = back(e), a = light(over(b, getComputedStyle(e).color)), c = light(b);
        const contrast = (Math.max(a, c) + .05) / (Math.min(a, c) + .05);
        if (contrast < least[0]) least = [contrast, e.tagName, e.className];
      }
      return {least, dark: matchMedia("(prefers-color-scheme: dark)").matches};
    """
    text = asked(page("mixed").html(), script)
    for dark in (False, True):
        options = [f"--blink-settings=preferredColorScheme={0 if dark else 1}"]
        answer = answer_in(run(tmp_path, text, *options)[0])
        assert answer["dark"] is dark
        assert answer["least"][0] >= 4.5, answer
