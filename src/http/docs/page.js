// Adds to the list that the server wrote what /openapi.json says: fields, examples, a form for each model.
"use strict";

let key = "";

function element(name, properties, ...children) {
  const made = document.createElement(name);
  for (const [property, value] of Object.entries(properties || {})) {
    if (property in made) made[property] = value;
    else made.setAttribute(property, value);
  }
  made.append(...children);
  return made;
}

function tell(text, isBad) {
  const status = document.getElementById("status");
  status.textContent = text;
  status.className = isBad ? "bad" : "";
}

function headers(more) {
  return key ? { ...more, authorization: `Bearer ${key}` } : more;
}

// A word for shells: nothing in it is special.
function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function curl(path, body) {
  const authorization = key ? " -H \"authorization: Bearer $KEY\"" : "";
  const data = `-H 'content-type: application/json' -d ${quoted(body)}`;
  return `curl -s${authorization} ${data} ${quoted(location.origin + path)}`;
}

function table(caption, heads, rows) {
  const head = element("tr", {}, ...heads.map((text) => element("th", { scope: "col" }, text)));
  const body = rows.map((row) => element("tr", {}, ...row.map((text) => element("td", {}, text))));
  return element("div", { className: "wide", tabIndex: 0, role: "region", "aria-label": caption },
    element("table", {},
      element("caption", { className: "dim" }, caption),
      element("thead", {}, head),
      element("tbody", {}, ...body)));
}

function fields(model) {
  const { features, tensors, text, image } = model.inputs;
  if (features) {
    const shown = (value) => (value === undefined ? "required" : JSON.stringify(value));
    return table("Features", ["name", "type", "default", "categories"], features.map((one) => [
      one.name, one.type, shown(one.default), (one.categories || []).join(", "),
    ]));
  }
  if (tensors) {
    return table("Tensors of one instance; -1 is free", ["name", "type", "shape"], tensors.map((one) => [
      one.name, one.datatype, `[${one.shape.join(", ")}]`,
    ]));
  }
  const limits = text || image || {};
  const rows = Object.entries(limits).map(([name, value]) => [name, JSON.stringify(value)]);
  return table(text ? "Text" : "Image", ["limit", "value"], rows);
}

function answers(model) {
  const outputs = model.outputs.tensors
    ? model.outputs.tensors.map((one) => [one.name, `${one.datatype} [${one.shape.join(", ")}]`])
    : Object.entries(model.outputs);
  const rows = model.labels ? [...outputs, ["labels", model.labels.join(", ")]] : outputs;
  return table("Prediction", ["member", "what"], rows);
}

async function send(path, body, shown) {
  const begun = performance.now();
  try {
    const answer = await fetch(path, {
      method: "POST", body, headers: headers({ "content-type": "application/json" }),
    });
    const text = await answer.text();
    const took = (performance.now() - begun).toFixed(1);
    const timing = answer.headers.get("server-timing");
    shown.timing.textContent = `${answer.status} in ${took} ms${timing ? `; server: ${timing}` : ""}`;
    shown.timing.className = answer.ok ? "" : "bad";
    try {
      shown.answer.textContent = JSON.stringify(JSON.parse(text), null, 2);
    } catch {
      shown.answer.textContent = text;
    }
  } catch (error) {
    shown.timing.textContent = `no answer: ${error.message}`;
    shown.timing.className = "bad";
  }
}

function picture(id, input) {
  const file = element("input", { id: `${id}-file`, type: "file", accept: "image/png,image/jpeg" });
  file.addEventListener("change", () => {
    const reader = new FileReader();
    reader.addEventListener("load", () => {
      input.value = JSON.stringify({ b64: String(reader.result).split(",")[1] });
    });
    if (file.files.length) reader.readAsDataURL(file.files[0]);
  });
  return element("div", { className: "row" }, element("label", { htmlFor: file.id }, "Picture"), file);
}

function form(path, operation, id) {
  const content = operation.requestBody.content["application/json"];
  const examples = Object.entries(content.examples || {});
  const input = element("textarea", { id: `${id}-body`, spellcheck: false });
  const fill = (value) => { input.value = JSON.stringify(value, null, 2); };
  if (examples.length) fill(examples[0][1].value);
  const shown = {
    timing: element("p", { role: "status" }),
    answer: element("pre", { tabIndex: 0, "aria-label": "Answer" }),
  };
  const choose = examples.map(([name, example]) => {
    const button = element("button", { type: "button" }, example.summary || name);
    button.addEventListener("click", () => fill(example.value));
    return button;
  });
  const copy = element("button", { type: "button" }, "Copy as curl");
  copy.addEventListener("click", async () => {
    const command = curl(path, input.value);
    try {
      await navigator.clipboard.writeText(command);
      shown.timing.textContent = "Copied.";
    } catch {
      shown.timing.textContent = "Copy it from below.";
      shown.answer.textContent = command;
    }
  });
  const made = element("form", {},
    element("label", { htmlFor: input.id }, `Body for POST ${path}`), input,
    element("div", { className: "row" }, element("button", { type: "submit" }, "Send"), copy, ...choose),
    shown.timing, shown.answer);
  made.addEventListener("submit", (event) => {
    event.preventDefault();
    send(path, input.value, shown);
  });
  if (operation["x-model"].inputs.image) made.prepend(picture(id, input));
  return made;
}

function section(path, operation, number) {
  const model = operation["x-model"];
  const title = element("summary", {}, `${path} `, element("span", { className: "dim" },
    `version ${model.version}, ${model.task}`));
  const about = element("p", {}, operation.description || "");
  return element("details", { id: `model-${number}` },
    title, about, fields(model), answers(model), form(path, operation, `model-${number}`));
}

function routes(document_) {
  const list = document.getElementById("route-list");
  const items = [];
  for (const [path, methods] of Object.entries(document_.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      if (operation["x-model"] || !operation.tags || operation.tags[0] === "models") continue;
      items.push(element("li", {}, element("code", {}, `${method.toUpperCase()} ${path}`), ` ${operation.summary}`));
    }
  }
  list.replaceChildren(...items);
}

async function show() {
  const answer = await fetch("/openapi.json", { headers: headers({}) });
  if (answer.status === 401 || answer.status === 403) {
    document.getElementById("key-form").hidden = false;
    tell(key ? "This key may not read the description." : "Enter a key to see the models.", Boolean(key));
    return;
  }
  if (!answer.ok) throw new Error(`/openapi.json answers ${answer.status}`);
  const described = await answer.json();
  const models = Object.entries(described.paths).filter(([, methods]) => methods.post && methods.post["x-model"]);
  const sections = models.map(([path, methods], number) => section(path, methods.post, number));
  document.getElementById("models").replaceChildren(...sections);
  document.getElementById("model-list").hidden = sections.length > 0;
  if (sections.length === 1) sections[0].open = true;
  routes(described);
  tell("");
}

function start() {
  show().catch((error) => tell(`The description could not be read: ${error.message}`, true));
}

document.getElementById("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  key = document.getElementById("key").value.trim();
  start();
});
start();
