// The page of /docs in jsdom, which runs its script as a browser would. Run by the integration tests:
//
//   node docs_page.mjs FOLDER-WITH-JSDOM URL [KEY]
import assert from "node:assert/strict";
import { createRequire } from "node:module";

const [folder, url, key] = process.argv.slice(2);
const { JSDOM, VirtualConsole } = createRequire(`${folder}/`)("jsdom");
const asked = [];
const faults = [];

const consoles = new VirtualConsole();
consoles.on("jsdomError", (error) => faults.push(error.message));

const dom = await JSDOM.fromURL(`${url}/docs`, {
  runScripts: "dangerously",
  resources: "usable",
  pretendToBeVisual: true,
  virtualConsole: consoles,
  beforeParse(window) {
    window.fetch = (path, options) => {
      const target = new URL(path, url);
      asked.push(target.href);
      return fetch(target, options);
    };
  },
});
const { document, Event } = dom.window;

async function until(what, ask) {
  for (let left = 600; left > 0; left -= 1) {
    const found = ask();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`no ${what}: ${document.getElementById("status").textContent} ${faults.join("; ")}`);
}

if (key) {
  const form = await until("form for a key", () => {
    const shown = document.getElementById("key-form");
    return shown.hidden ? null : shown;
  });
  assert.equal(document.querySelectorAll("#models details").length, 0);
  document.getElementById("key").value = key;
  form.dispatchEvent(new Event("submit", { cancelable: true }));
}
await until("models", () => document.querySelectorAll("#models details").length > 0);

for (const control of document.querySelectorAll("input, textarea")) {
  assert.ok(document.querySelector(`label[for="${control.id}"]`), `no label for ${control.id}`);
}
assert.equal(document.documentElement.lang, "en");
for (const section of document.querySelectorAll("#models details")) {
  const form = section.querySelector("form");
  assert.ok(section.querySelectorAll("table").length >= 2, section.textContent);
  form.dispatchEvent(new Event("submit", { cancelable: true }));
  const timing = form.querySelector("[role=status]");
  await until("answer", () => timing.textContent);
  assert.match(timing.textContent, /^200 in [0-9.]+ ms; server: .*total;dur=/, section.textContent);
  assert.ok(JSON.parse(form.querySelector("pre").textContent).model, section.textContent);
  // Without a clipboard the line is shown.
  const copy = [...form.querySelectorAll("button")].find((button) => button.textContent === "Copy as curl");
  copy.click();
  await until("curl line", () => form.querySelector("pre").textContent.startsWith("curl "));
}
assert.ok(document.querySelectorAll("#route-list li").length > 10);
assert.deepEqual(asked.filter((target) => new URL(target).origin !== new URL(url).origin), []);
assert.deepEqual(faults, []);
console.log(`OK: ${document.querySelectorAll("#models details").length} models`);
dom.window.close();
