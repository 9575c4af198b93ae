// What a page can do beyond being read: filter as one types, copy, move by keyboard. Without it, nothing is missing.
"use strict";

// Copying. The clipboard is there on https and on this machine; elsewhere the browser copies what is selected.
async function copy(element) {
  const text = element.textContent;
  if (navigator.clipboard && window.isSecureContext) {
    await navigator.clipboard.writeText(text);
    return;
  }
  const selection = window.getSelection();
  selection.selectAllChildren(element);
  if (!document.execCommand("copy")) throw new Error("the browser does not copy");
  selection.removeAllRanges();
}

for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = false;
  const label = button.textContent;
  button.addEventListener("click", async () => {
    try {
      await copy(document.getElementById(button.dataset.copy));
      button.textContent = "Copied";
      button.classList.add("done");
    } catch {
      button.textContent = "Press Ctrl-C";
      window.getSelection().selectAllChildren(document.getElementById(button.dataset.copy));
    }
    setTimeout(() => {
      button.textContent = label;
      button.classList.remove("done");
    }, 1500);
  });
}

// Filtering the rows of tables that are on the page.
for (const field of document.querySelectorAll("input[data-rows]")) {
  field.closest(".filter-rows").hidden = false;
  const within = document.getElementById(field.dataset.rows);
  const groups = [...within.querySelectorAll("details")];
  const wereOpen = groups.map((group) => group.open);
  field.addEventListener("input", () => {
    const words = wordsOf(field.value);
    for (const row of within.querySelectorAll("tbody tr")) row.hidden = !fits(row.textContent, words);
    groups.forEach((group, at) => {
      group.hidden = !group.querySelector("tbody tr:not([hidden])");
      group.open = words.length ? true : wereOpen[at];
    });
  });
}

function wordsOf(text) {
  return text.toLowerCase().split(/\s+/).filter(Boolean);
}

function fits(text, words) {
  const lower = text.toLowerCase();
  return words.every((word) => lower.includes(word));
}

// The list of images. Its script comes when someone begins to filter; only what is shown is made.
const form = document.querySelector("form[data-list]");
if (form) {
  const field = form.elements.q;
  const order = form.elements.sort;
  const list = document.getElementById("list");
  const found = document.getElementById("found");
  const more = document.getElementById("more");
  const pages = document.querySelector(".pages");
  const asWritten = [...list.childNodes];
  const row = document.getElementById("repository").content.firstElementChild;
  const step = Number(form.dataset.shown);
  let repositories = null;
  let shown = [];
  let loading = null;

  form.hidden = false;
  for (const button of form.querySelectorAll(".needs-no-script")) button.hidden = true;

  const load = () => {
    loading ??= new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = form.dataset.list;
      script.onload = () => {
        repositories = globalThis.skyportImages.map(([name, descriptions, images]) => ({
          name,
          description: descriptions[0],
          images: images.map(([tag, node, state, bytes, size, published, isPrivate]) => ({
            tag, node, state, bytes, size, published, isPrivate,
          })),
          words: [...images.map(([tag]) => (tag ? `${name}:${tag}` : name)), ...descriptions].join(" ").toLowerCase(),
        }));
        resolve();
      };
      script.onerror = reject;
      document.head.append(script);
    });
    return loading;
  };

  const inOrder = {
    name: () => 0,
    newest: (one, other) => (one.images[0].published < other.images[0].published ? 1 : -1),
    largest: (one, other) => largest(other) - largest(one),
  };
  const largest = (repository) => Math.max(...repository.images.map((image) => image.bytes));

  const link = (image) => form.dataset.image.replace("NODE", encodeURIComponent(image.node));

  const badge = (kind, text) => {
    const made = document.createElement("span");
    made.className = `badge ${kind}`;
    made.textContent = text;
    return made;
  };

  const make = (repository) => {
    const made = row.cloneNode(true);
    const newest = repository.images[0];
    const name = made.querySelector(".name");
    name.textContent = repository.name;
    name.href = link(newest);
    made.querySelector(".description").textContent = repository.description;
    made.querySelector(".size").textContent = newest.size;
    const time = made.querySelector("time");
    time.dateTime = newest.published;
    time.textContent = newest.published.slice(0, 10);
    const tags = made.querySelector(".tags");
    const most = Number(form.dataset.tags);
    for (const image of repository.images.slice(0, most)) {
      const item = document.createElement("li");
      const tag = document.createElement("a");
      tag.className = "tag";
      tag.href = link(image);
      tag.textContent = image.tag || "no tag";
      item.append(tag);
      if (image.isPrivate) item.append(badge("private", "private"));
      if (image.state !== "published") item.append(badge("state", image.state));
      tags.append(item);
    }
    if (repository.images.length > most) {
      const rest = document.createElement("a");
      rest.className = "more";
      rest.href = `${link(newest)}#tags`;
      rest.textContent = `${repository.images.length - most} more`;
      const item = document.createElement("li");
      item.append(rest);
      tags.append(item);
    }
    return made;
  };

  const showMore = () => {
    const there = list.childElementCount;
    list.append(...shown.slice(there, there + step).map(make));
    more.hidden = list.childElementCount >= shown.length;
  };
  more.addEventListener("click", showMore);

  const show = async () => {
    try {
      await load();
    } catch {
      return; // The form still asks the server.
    }
    const words = wordsOf(field.value);
    const isAsWritten = !words.length && order.value === "name";
    if (form.action.startsWith("http")) {
      const asked = new URLSearchParams();
      if (field.value) asked.set("q", field.value);
      if (order.value !== "name") asked.set("sort", order.value);
      history.replaceState(null, "", asked.size ? `?${asked}` : location.pathname);
    }
    shown = repositories.filter((repository) => words.every((word) => repository.words.includes(word)));
    if (order.value !== "name") shown.sort(inOrder[order.value]);
    found.textContent = words.length ? `${shown.length} of ${repositories.length} fit “${field.value.trim()}”.` : "";
    document.querySelector(".empty")?.remove();
    if (pages) pages.hidden = !isAsWritten || isFiltered;
    if (isAsWritten && !isFiltered) {
      list.replaceChildren(...asWritten);
      more.hidden = true;
      return;
    }
    list.replaceChildren();
    showMore();
  };
  // Asked of the server with a filter, the page has no rows to go back to.
  const isFiltered = Boolean(field.value) || order.value !== "name";

  field.addEventListener("focus", () => load().catch(() => {}));
  field.addEventListener("input", show);
  order.addEventListener("change", show);
  form.addEventListener("submit", (event) => {
    if (!repositories) return;
    event.preventDefault();
    list.querySelector(".name")?.focus();
  });
}

// By keyboard: `/` goes to the field, the arrows from one image to the next.
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const at = document.activeElement;
  const isTyping = at instanceof HTMLInputElement || at instanceof HTMLSelectElement;
  const field = document.querySelector("input[type=search]");
  if (event.key === "/" && !isTyping && field) {
    event.preventDefault();
    field.focus();
    field.select();
  } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    const names = [...document.querySelectorAll(".repository .name")];
    const place = names.indexOf(at);
    if (place < 0 && !(at === field && event.key === "ArrowDown")) return;
    const next = event.key === "ArrowDown" ? names[place + 1] : names[place - 1] ?? field;
    if (!next) return;
    event.preventDefault();
    next.focus();
  }
});
