// What a search shows of a page are its sentences: no menus, code or tables.
const wholePage = Search.htmlToText;

Search.htmlToText = (html, anchor) => {
  const page = new DOMParser().parseFromString(html, "text/html");
  const part = page.querySelector(`article ${anchor || ""}`);
  if (!part) return wholePage(html, anchor);
  const others = "annotation, table, .headerlink, .reading-time";
  for (const other of part.querySelectorAll(others)) other.remove();
  const sentences = part.querySelectorAll("p, figcaption, dt");
  return [...sentences].map((e) => e.textContent.trim()).join(" ");
};
