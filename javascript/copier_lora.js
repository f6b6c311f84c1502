// The browser's side of the wizard: sends what was clicked, puts the answer into the page, moves sliders.
// It holds no state of the method; everything it shows was made by the server.
(() => {
  "use strict";

  const ROOT = "copier_lora";
  const REMEMBERED = "copier_lora.view";
  const HURRIED_MS = 250;
  const ACTIVE_MS = 1200;
  const IDLE_MS = 6000;
  const TIMEOUT_MS = 60000;

  const page = {
    root: null,
    view: {},
    stamp: "",
    isActive: false,
    isHurried: false,
    sending: Promise.resolve(),
    waiting: 0,
    live: null,
    askedAt: 0,
    html: {},
    isLost: false,
    notice: null,
    failure: "",
    centred: "",
  };

  // What the page asks by itself: nobody has seen what stood there when these are answered.
  const BY_ITSELF = new Set(["poll", "try_effect"]);

  // ---- asking the server ----------------------------------------------------------------------------

  async function post(request) {
    const stop = new AbortController();
    const timer = setTimeout(() => stop.abort(), TIMEOUT_MS);
    try {
      const response = await fetch(page.root.dataset.route, {
        method: "POST",
        credentials: "same-origin",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ data: [JSON.stringify(request)], session_hash: ROOT }),
        signal: stop.signal,
      });
      if (!response.ok) throw new Error(`HTTP ${response.status}`);
      return JSON.parse((await response.json()).data[0]);
    } finally {
      clearTimeout(timer);
    }
  }

  // Requests go one after the other: a setting is stored before the run that was clicked after it.
  // An answer that comes meanwhile brings the view of its own request: where to go is put in after it.
  function ask(act, details = {}, changes = {}) {
    countWaiting(1);
    page.sending = page.sending.then(async () => {
      page.view = { ...page.view, ...changes };
      try {
        show(await post({ act, view: page.view, have: page.stamp, ...details }), !BY_ITSELF.has(act));
      } catch (error) {
        lost(error);
      } finally {
        countWaiting(-1);
        page.askedAt = Date.now();
      }
    });
    return page.sending;
  }

  // The page says by itself whether all that was asked has been answered and drawn.
  function countWaiting(more) {
    page.waiting += more;
    page.root.toggleAttribute("data-waiting", page.waiting > 0);
  }

  function show(reply, isAsked = true) {
    if (page.isLost) {
      page.isLost = false;
      notify(null);
    }
    page.isActive = Boolean(reply.active);
    page.isHurried = Boolean(reply.hurried);
    if (reply.view) {
      page.view = reply.view;
      remember();
    }
    if (reply.stamp) page.stamp = reply.stamp;
    if (reply.reset) page.html = {};
    for (const [name, html] of Object.entries(reply.html || {})) put(name, html);
    centreStep();
    tell(reply, isAsked);
    if (reply.field) reveal(reply.field);
    else if (reply.top) page.root.scrollIntoView({ block: "start", behavior: "smooth" });
  }

  // Where the steps lie in a strip, the current one is scrolled into it; by hand it may be moved away again.
  function centreStep() {
    const rail = page.root.querySelector('[data-region="rail"]');
    const item = rail.querySelector("[aria-current]");
    // Anew where the window has another width, or the host's tab was hidden before.
    const place = `${page.view.panel} ${rail.clientWidth}`;
    if (!item || page.centred === place) return;
    page.centred = place;
    rail.scrollLeft += item.getBoundingClientRect().left - rail.getBoundingClientRect().left - (rail.clientWidth - item.offsetWidth) / 2;
  }

  function lost(error) {
    page.isLost = true;
    page.stamp = "";
    notify({ kind: "error", text: `${page.root.dataset.lost} (${error.message})` });
  }

  function remember() {
    try {
      localStorage.setItem(REMEMBERED, JSON.stringify(page.view));
    } catch {
      // A browser that stores nothing opens the last project of the server instead.
    }
  }

  function remembered() {
    try {
      return JSON.parse(localStorage.getItem(REMEMBERED)) || {};
    } catch {
      return {};
    }
  }

  // ---- putting answers into the page ----------------------------------------------------------------

  function put(name, html) {
    const region = page.root.querySelector(`[data-region="${name}"]`);
    if (!region || page.html[name] === html) return;
    page.html[name] = html;
    const fresh = document.createElement(region.tagName);
    fresh.innerHTML = html;
    morphChildren(region, fresh);
  }

  const keyOf = (node) => (node.nodeType === 1 ? node.id || node.dataset.keep || "" : "");
  const isSame = (a, b) => a.nodeName === b.nodeName && keyOf(a) === keyOf(b);

  // Changes only what differs: focus, open parts, half-typed text and slider positions stay.
  function morphChildren(old, fresh) {
    const wanted = [...fresh.childNodes];
    wanted.forEach((node, index) => {
      const current = old.childNodes[index];
      if (!current) old.append(node);
      else if (isSame(current, node)) morph(current, node);
      else current.replaceWith(node);
    });
    while (old.childNodes.length > wanted.length) old.lastChild.remove();
  }

  function morph(old, fresh) {
    if (old.nodeType !== 1) {
      if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
      return;
    }
    if (old.classList.contains("cl-scrub")) return void replaceScrub(old, fresh);
    const kept = isKept(old) ? old.value : null;
    const isOurs = (name) => name === "style" || name === "aria-busy" || (name === "open" && old.nodeName === "DETAILS");
    for (const { name } of [...old.attributes]) {
      if (!fresh.hasAttribute(name) && !isOurs(name)) old.removeAttribute(name);
    }
    for (const { name, value } of fresh.attributes) {
      if (old.getAttribute(name) !== value && !isOurs(name)) old.setAttribute(name, value);
    }
    if (old.matches("input, select, textarea")) return void takeValue(old, fresh, kept);
    morphChildren(old, fresh);
  }

  function takeValue(old, fresh, kept) {
    const isBusy = old === document.activeElement && !old.matches("[type=checkbox], select");
    if (old.nodeName === "SELECT") {
      morphChildren(old, fresh);
      const isThere = kept !== null && [...old.options].some((option) => option.value === kept);
      old.value = isThere ? kept : fresh.value;
    } else if (old.type === "checkbox" || old.type === "radio") {
      if (kept === null) old.checked = fresh.checked;
    } else if (old.type !== "file" && !isBusy && !old.hasAttribute("data-compare")) {
      if (old.nodeName === "TEXTAREA") old.defaultValue = fresh.defaultValue;
      old.value = kept ?? fresh.value;
    }
  }

  // Fields of a form that is sent as a whole keep what a person has put there until it is sent.
  function isKept(input) {
    if (!input.matches("input, select, textarea") || !input.name || !input.closest("[data-form]")) return false;
    if (input.nodeName === "SELECT") {
      const first = [...input.options].findIndex((option) => option.defaultSelected);
      return input.selectedIndex !== Math.max(first, 0);
    }
    if (input.type === "checkbox" || input.type === "radio") return input.checked !== input.defaultChecked;
    return input.value !== input.defaultValue;
  }

  function replaceScrub(old, fresh) {
    const sources = (scrub) => [...scrub.querySelectorAll("img")].map((image) => image.getAttribute("src")).join("\n");
    if (sources(old) === sources(fresh)) return;
    const slider = old.querySelector("[data-scrub]");
    const next = fresh.querySelector("[data-scrub]");
    if (slider.dataset.scrub === next.dataset.scrub) next.value = slider.value;
    old.replaceWith(fresh);
    scrub(next);
  }

  let noticeTimer = 0;

  // A complaint goes with what it complains of: with its cause, else with the next thing that went well.
  function tell(reply, isAsked) {
    const { notice } = page;
    if (page.failure !== reply.failure) {
      page.failure = reply.failure;
      // What was begun has failed: that it goes on is no longer so.
      if (page.failure && page.notice?.kind === "ok") page.notice = null;
      drawNotices();
    }
    if (reply.notice) notify(reply.notice);
    else if (notice?.cause) {
      const text = reply.causes[notice.cause];
      if (text !== notice.text) notify(text ? { ...notice, text } : null);
    } else if (notice?.kind === "error" && isAsked) notify(null);
  }

  function notify(notice) {
    clearTimeout(noticeTimer);
    page.notice = notice;
    drawNotices();
    if (notice && notice.kind !== "error") noticeTimer = setTimeout(() => notify(null), 6000);
  }

  function drawNotices() {
    const shown = [];
    if (page.failure) shown.push(noticeBox({ kind: "error", text: page.failure }, () => ask("seen")));
    if (page.notice) shown.push(noticeBox(page.notice, () => notify(null)));
    page.root.querySelector('[data-region="notice"]').replaceChildren(...shown);
  }

  function noticeBox(notice, onClose) {
    const box = document.createElement("div");
    box.className = `cl-notice cl-${notice.kind}`;
    box.setAttribute("role", notice.kind === "error" ? "alert" : "status");
    const text = document.createElement("span");
    text.textContent = notice.text;
    const close = document.createElement("button");
    close.type = "button";
    close.textContent = "×";
    close.setAttribute("aria-label", page.root.dataset.close);
    close.onclick = onClose;
    box.append(text, close);
    return box;
  }

  // ---- what people do -------------------------------------------------------------------------------

  function go(changes) {
    const panel = changes.panel ?? page.view.panel;
    for (const item of page.root.querySelectorAll("[data-go-panel]")) {
      item.toggleAttribute("aria-current", item.dataset.goPanel === panel);
    }
    return ask("go", {}, changes);
  }

  // Opens the folds around a setting's field, and shows it as the one that is meant.
  function reveal(key) {
    const field = page.root.querySelector(`main [data-set="${CSS.escape(key)}"]`);
    if (!field) return;
    for (let fold = field.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
    field.setAttribute("aria-invalid", "true");
    field.scrollIntoView({ block: "center", behavior: "smooth" });
    field.focus({ preventScroll: true });
  }

  async function act(button) {
    const { act: name, confirm: question, ...details } = button.dataset;
    if (question && !window.confirm(question)) return;
    const form = button.closest("[data-form]");
    button.setAttribute("aria-busy", "true");
    try {
      if (form) details.values = await values(form);
      await ask(name, details);
      if (name === "refresh_loras") refreshCards();
    } finally {
      button.removeAttribute("aria-busy");
    }
  }

  async function values(form) {
    const found = {};
    for (const input of form.querySelectorAll("[name]")) {
      if (input.type === "file") found[input.name] = input.files[0] ? await encoded(input.files[0]) : null;
      else if (input.type === "checkbox") found[input.name] = input.checked;
      else if (input.type !== "radio") found[input.name] = input.value;
      else if (input.checked) found[input.name] = input.value;
    }
    return found;
  }

  function encoded(file) {
    const most = Number(page.root.dataset.uploadLimit);
    if (file.size > most) {
      notify({ kind: "error", text: page.root.dataset.tooLarge });
      return null;
    }
    return new Promise((resolve, reject) => {
      const reader = new FileReader();
      reader.onload = () => resolve({ name: file.name, data: String(reader.result).split(",")[1] || "" });
      reader.onerror = () => reject(reader.error);
      reader.readAsDataURL(file);
    });
  }

  // Of a large LoRA only the beginning is sent: its header holds the recipe.
  const HEAD_BYTES = 8 << 20;

  async function upload(input, file) {
    const part = file && "head" in input.dataset ? new File([file.slice(0, HEAD_BYTES)], file.name) : file;
    const sent = part && (await encoded(part));
    input.value = "";
    if (!sent) return;
    const zone = input.closest(".cl-drop");
    zone?.setAttribute("aria-busy", "true");
    await ask(input.dataset.upload, { file: sent, size: file.size });
    zone?.removeAttribute("aria-busy");
  }

  // Only what was moved is sent: a slider's neighbours may stand between two of their points.
  const moved = (input) => ({ values: { [input.name]: input.value } });

  // The edit's sliders: at most one request on its way, and always the newest value next.
  function live(input) {
    if (page.live) {
      page.live.again = input;
      return;
    }
    page.live = { again: null };
    ask("try_effect", moved(input)).then(() => {
      const again = page.live.again;
      page.live = null;
      if (again && again.isConnected) live(again);
    });
  }

  function scrub(slider) {
    const index = Number(slider.value);
    const weight = Number(slider.dataset.scrub.split(" ")[index]);
    const box = slider.closest(".cl-scrub");
    for (const frames of box.querySelectorAll(".cl-frames")) {
      [...frames.children].forEach((image, number) => (image.hidden = number !== index));
    }
    const text = weight > 0 ? `+${weight}` : `${weight}`;
    box.querySelector("output").textContent = text;
    slider.setAttribute("aria-valuetext", text);
  }

  function zoom(image) {
    const dialog = page.root.querySelector("dialog");
    dialog.replaceChildren(Object.assign(new Image(), { src: image.src, alt: image.alt }));
    dialog.showModal();
  }

  // Into the WebUI's own form: its paste button reads the settings out of the prompt, as it does for everybody.
  function sendToTxt2img(button) {
    const host = typeof gradioApp === "function" ? gradioApp() : document;
    const prompt = host.querySelector("#txt2img_prompt textarea");
    if (!prompt) return;
    const slider = button.closest(".cl-scrub").querySelector("[data-scrub]");
    const weight = slider.dataset.scrub.split(" ")[Number(slider.value)];
    prompt.value = button.dataset.txt2img.replace("{weight}", weight);
    prompt.dispatchEvent(new Event("input", { bubbles: true }));
    host.querySelector("#tabs button")?.click();
    setTimeout(() => host.querySelector("#txt2img_tools #paste, #tab_txt2img #paste")?.click(), 200);
  }

  // The cards beside the WebUI's prompts are its own: its button draws them anew.
  function refreshCards() {
    const host = typeof gradioApp === "function" ? gradioApp() : document;
    for (const tab of ["txt2img", "img2img"]) host.querySelector(`#${tab}_lora_extra_refresh`)?.click();
  }

  async function copy(button) {
    const text = button.dataset.copy;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // Without https the clipboard is closed to scripts: copy from a selection instead.
      const area = document.createElement("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    notify({ kind: "ok", text: page.root.dataset.copied });
  }

  // ---- events: one listener a kind, on the root -----------------------------------------------------

  function onClick(event) {
    const found = (selector) => event.target.closest(selector);
    const button = found("[data-act]");
    const link = found("[data-go-panel], [data-go-origin], [data-go-edit], [data-go-link]");
    if (button) act(button);
    else if (found("[data-copy]")) copy(found("[data-copy]"));
    else if (found("[data-txt2img]")) sendToTxt2img(found("[data-txt2img]"));
    else if (link) {
      const { goPanel, goOrigin, goEdit, goLink, goField } = link.dataset;
      const changes = { panel: goPanel, origin: goOrigin, edit: goEdit, link: goLink && Number(goLink) };
      const asked = go(Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== undefined)));
      if (goField) asked.then(() => reveal(goField));
    } else if (found("img[data-zoom]")) zoom(found("img[data-zoom]"));
    else if (found("dialog")) found("dialog").close();
    else return;
    event.preventDefault();
  }

  function onChange(event) {
    const input = event.target;
    if (input.matches("[data-set]")) {
      const value = input.type === "checkbox" ? input.checked : input.value;
      ask("set", { key: input.dataset.set, target: input.dataset.target, value });
    } else if (input.matches("[data-upload]")) {
      upload(input, input.files[0]);
    } else if (input.matches("[data-view]")) {
      go({ [input.dataset.view]: input.value });
    } else if (input.matches("[data-choose]")) {
      ask(input.dataset.choose, { value: input.value });
    } else if (input.closest("[data-live]")) {
      ask("set_effect", moved(input));
    }
  }

  function onInput(event) {
    const input = event.target;
    if (input.hasAttribute("aria-invalid")) {
      // Whoever mends a field has read what was refused; putting back what stood there asks nothing anew.
      input.removeAttribute("aria-invalid");
      if (page.notice?.kind === "error" && !page.notice.cause) notify(null);
    }
    if (input.matches("[data-compare]")) input.parentElement.style.setProperty("--cl-cut", `${input.value}%`);
    else if (input.matches("[data-scrub]")) scrub(input);
    else if (input.matches("[type=range]") && input.closest("[data-live]")) {
      const output = input.parentElement.querySelector("output");
      if (output) output.textContent = input.value;
      // Not every browser does so by itself; answers leave alone what has the focus.
      input.focus();
      live(input);
    }
  }

  function onKey(event) {
    const image = event.target.closest("img[data-zoom]");
    if (image && (event.key === "Enter" || event.key === " ")) {
      event.preventDefault();
      zoom(image);
      return;
    }
    // Inside a WebUI the host's own Ctrl+Enter presses our button by its id.
    if (event.key === "Enter" && event.ctrlKey && typeof onUiLoaded === "undefined") {
      page.root.querySelector("#copier_lora_generate")?.click();
      return;
    }
    const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    const item = event.target.closest('[data-region="rail"] [data-go-panel]');
    if (!item || !(step || event.key === "Home" || event.key === "End")) return;
    const items = [...page.root.querySelectorAll('[data-region="rail"] [data-go-panel]')];
    const at = items.indexOf(item);
    const next = event.key === "Home" ? 0 : event.key === "End" ? items.length - 1 : at + step;
    items[(next + items.length) % items.length].focus();
    event.preventDefault();
  }

  function onDrag(event) {
    const zone = event.target.closest(".cl-drop");
    if (!zone) return;
    event.preventDefault();
    zone.classList.toggle("cl-over", event.type === "dragover");
    if (event.type === "drop") upload(zone.querySelector("[data-upload]"), event.dataTransfer.files[0]);
  }

  // ---- starting, and staying up to date -------------------------------------------------------------

  // A page of our own has nobody else who follows the system's choice of light or dark.
  function followSystem() {
    if ("gradio_config" in window) return;
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const follow = () => document.body.classList.toggle("dark", dark.matches);
    dark.addEventListener("change", follow);
    follow();
  }

  function start(root) {
    followSystem();
    Object.assign(page, { root, view: remembered(), stamp: "", html: {} });
    root.addEventListener("click", onClick);
    root.addEventListener("change", onChange);
    root.addEventListener("input", onInput);
    root.addEventListener("keydown", onKey);
    for (const kind of ["dragover", "dragleave", "drop"]) root.addEventListener(kind, onDrag);
    ask("go");
  }

  const find = () => (typeof gradioApp === "function" ? gradioApp() : document).querySelector(`#${ROOT}`);

  function tick() {
    const root = page.root?.isConnected ? page.root : find();
    if (!root) return;
    if (root !== page.root) return void start(root);
    const isSeen = !document.hidden && root.offsetParent !== null;
    if (isSeen) centreStep();
    const pause = page.isLost ? ACTIVE_MS : page.isHurried ? HURRIED_MS : page.isActive ? ACTIVE_MS : IDLE_MS;
    if (isSeen && page.waiting === 0 && Date.now() - page.askedAt > pause) ask("poll");
  }

  // Called after a picture was sent from one of the WebUI's own galleries.
  function receive(text) {
    let reply;
    try {
      reply = JSON.parse(text);
    } catch {
      return;
    }
    const strip = [...document.querySelectorAll("#tabs button")];
    const ours = strip.find((button) => button.textContent.trim().toLowerCase() === page.root.dataset.title);
    ours?.click();
    show(reply);
  }

  window.copierLora = { receive, project: () => page.view.project || "" };
  setInterval(tick, 100);
})();
