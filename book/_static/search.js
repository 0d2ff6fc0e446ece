// What a search shows of a page are its sentences: no menus, code or tables.
const wholePage = Search.htmlToText;

Search.htmlToText = (html, anchor) => {
  const page = new DOMParser().parseFromString(html, "text/html");
  const part = page.querySelector(`article ${anchor || ""}`);
  if (!part) return wholePage(html, anchor);
  for (const other of part.querySelectorAll("annotation, table, .headerlink"))
    other.remove();
  const sentences = part.querySelectorAll("p, figcaption, dt");
  return [...sentences].map((e) => e.textContent.trim()).join(" ");
};
