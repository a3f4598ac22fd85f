// What test_browser.py asks of an open page. Each function returns sentences about what is wrong with it, so [] is well.

function named(element) {
  const text = (element.textContent || element.getAttribute("aria-label") || "").trim().replace(/\s+/g, " ");
  return `<${element.tagName.toLowerCase()} class="${element.getAttribute("class") || ""}"> “${text.slice(0, 40)}”`;
}

function ownNodes(element) {
  return [...element.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE);
}

function ownText(element) {
  return ownNodes(element).map((node) => node.data).join("").trim();
}

function rectangles(node) {
  const range = document.createRange();
  range.selectNodeContents(node);
  return [...range.getClientRects()];
}

function shown(element) {
  return element.checkVisibility({ visibilityProperty: true }) && element.getClientRects().length > 0;
}

function scroller(element) {
  for (let up = element.parentElement; up; up = up.parentElement) {
    if (["auto", "scroll"].includes(getComputedStyle(up).overflowX)) return up;
  }
  return null;
}

// Nothing sticks out of the page, nothing is cut off without its full text in `title`, no word is a column of letters.
function layout() {
  const wrong = [];
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth > width) wrong.push(`the page is wider than the window, ${width} px`);
  for (const element of document.querySelectorAll("body *")) {
    if (!shown(element) || element.closest("title")) continue;
    const style = getComputedStyle(element), box = element.getBoundingClientRect();
    const inside = (box.right <= width + 1 && box.left >= -1) || element.closest("svg.strip");  // clipped; cells have titles
    if (!inside && !scroller(element)) wrong.push(`outside the window: ${named(element)}`);
    if (element.closest("svg")) continue;
    const over = element.scrollWidth > element.clientWidth + 1 && element.clientWidth > 0;
    const cut = ["hidden", "clip"].includes(style.overflowX), titled = element.closest("[title]");
    if (over && cut && titled?.title !== element.textContent.trim()) wrong.push(`cut off: ${named(element)}`);
    if (over && !cut && style.overflowX === "visible" && style.display !== "inline") wrong.push(`spills: ${named(element)}`);
    const text = ownText(element);
    if (text.length > 8 && style.writingMode === "horizontal-tb") {
      const lines = new Set(ownNodes(element).flatMap(rectangles).map((line) => Math.round(line.top))).size;
      if (text.length / lines < 4) wrong.push(`${lines} lines for ${text.length} characters: ${named(element)}`);
    }
  }
  return wrong;
}

// How many cells there are, and which are wrong: the first column of every table that scrolls stays in sight, and what passes under it does not show through.
function sticky() {
  const wrong = [];
  let seen = 0;
  for (const box of document.querySelectorAll(".scroll")) {
    box.scrollLeft = box.scrollWidth;
    if (box.scrollLeft === 0) continue;
    const left = box.getBoundingClientRect().left;
    for (const cell of box.querySelectorAll(".name")) {
      cell.scrollIntoView({ block: "center", inline: "nearest" });
      box.scrollLeft = box.scrollWidth;
      const at = cell.getBoundingClientRect(), top = document.elementFromPoint(at.right - 4, at.top + at.height / 2);
      seen += 1;
      if (Math.abs(at.left - left) > 1) wrong.push(`scrolled away: ${named(cell)}`);
      if (!cell.contains(top)) wrong.push(`covered: ${named(cell)}`);
      if (channels(getComputedStyle(cell).backgroundColor)[3] < 255) wrong.push(`lets through: ${named(cell)}`);
    }
    box.scrollLeft = 0;
  }
  return [seen, wrong];
}

// Any CSS colour as red, green, blue and alpha, 0 to 255, by asking a canvas.
const canvas = document.createElementNS("http://www.w3.org/1999/xhtml", "canvas").getContext("2d", { willReadFrequently: true });
const known = new Map();
function channels(colour) {
  if (!known.has(colour)) {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    known.set(colour, [...canvas.getImageData(0, 0, 1, 1).data]);
  }
  return known.get(colour);
}

function over(top, bottom, alpha = top[3] / 255) {
  return [0, 1, 2].map((i) => alpha * top[i] + (1 - alpha) * bottom[i]);
}

function background(element) {
  const layers = [];
  for (let up = element; up; up = up.parentElement) layers.push(channels(getComputedStyle(up).backgroundColor));
  return layers.reverse().reduce((below, layer) => over(layer, below), [255, 255, 255]);
}

// Relative luminance and contrast of WCAG 2.2.
function luminance(colour) {
  const [r, g, b] = colour.map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function ratio(a, b) {
  const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (high + 0.05) / (low + 0.05);
}

// How many texts there are, and which are wrong: every text that is shown, and the labels that styles add, against the colour behind it: at least 4.5.
function contrast() {
  const wrong = [];
  let seen = 0;
  for (const element of document.querySelectorAll("body *")) {
    if (!shown(element)) continue;
    let opacity = 1;
    for (let up = element; up; up = up.parentElement) opacity *= getComputedStyle(up).opacity;
    const behind = background(element);
    const styles = [ownText(element) ? getComputedStyle(element) : null];
    for (const part of ["::before", "::after"]) {
      const style = getComputedStyle(element, part);
      styles.push(/[^\s"]/.test(style.content.replace(/^(none|normal)$/, "")) ? style : null);
    }
    for (const style of styles) {
      if (!style || element.closest("title")) continue;
      const colour = channels(element.closest("svg") ? style.fill : style.color);
      const found = ratio(over(colour, behind, (opacity * colour[3]) / 255), behind);
      seen += 1;
      if (found < 4.5) wrong.push(`${found.toFixed(2)}: ${named(element)}`);
    }
  }
  return [seen, wrong];
}

// Headings in order, names for what has no text, targets for links, and a keyboard's way to everything that scrolls.
function structure() {
  const wrong = [], all = (query) => [...document.querySelectorAll(query)];
  const levels = all("h1, h2, h3, h4, h5, h6").map((heading) => Number(heading.tagName[1]));
  if (levels[0] !== 1 || levels.filter((level) => level === 1).length !== 1) wrong.push("not one h1 at the top");
  levels.forEach((level, i) => i && level > levels[i - 1] + 1 && wrong.push(`h${level} follows h${levels[i - 1]}`));
  for (const drawing of all("svg")) {
    const name = drawing.getAttribute("aria-label") || "";
    if (drawing.getAttribute("role") !== "img" || !name.trim()) wrong.push(`no name: ${drawing.outerHTML.slice(0, 80)}`);
  }
  for (const link of all("a")) {
    if (!document.getElementById(link.getAttribute("href").slice(1))) wrong.push(`leads nowhere: ${named(link)}`);
  }
  const ids = all("[id]").map((element) => element.id);
  ids.forEach((id, i) => ids.indexOf(id) < i && wrong.push(`twice: id ${id}`));
  for (const box of all("main *")) {
    const style = getComputedStyle(box);
    if (!["auto", "scroll"].includes(style.overflowX) && !["auto", "scroll"].includes(style.overflowY)) continue;
    const label = box.getAttribute("aria-label") || document.getElementById(box.getAttribute("aria-labelledby"));
    if (box.tabIndex !== 0) wrong.push(`no key reaches it: ${named(box)}`);
    if (box.getAttribute("role") !== "region" || !label) wrong.push(`scrolls and has no name: ${named(box)}`);
  }
  for (const cell of all("thead th:not(:first-child)")) {
    if (!cell.textContent.trim() && !cell.querySelector("[aria-label]")) wrong.push("a column has no heading");
  }
  if (!document.documentElement.lang || !document.title.trim()) wrong.push("the page has no language or no title");
  return wrong;
}

// Of a picture on its own: all text lies within it, and stands out from the cell that it is written on.
function picture() {
  const wrong = [], box = document.documentElement.getBoundingClientRect();
  for (const text of document.querySelectorAll("text")) {
    const at = text.getBoundingClientRect();
    const inside = at.left >= box.left && at.right <= box.right && at.top >= box.top && at.bottom <= box.bottom;
    if (!inside) wrong.push(`outside the picture: ${named(text)}`);
    const cell = text.previousElementSibling;
    if (cell?.tagName !== "rect") continue;
    const behind = over(channels(getComputedStyle(cell).fill), [255, 255, 255]);
    const found = ratio(channels(getComputedStyle(text).fill).slice(0, 3), behind);
    if (found < 4.5) wrong.push(`${found.toFixed(2)}: ${named(text)}`);
  }
  return wrong;
}
