/** The page's templates: each clone with the elements that its code needs, by their `data-part`. */

/** The elements of a clone by the value of `data-part`. A part that is not there is an error of this page. */
export type Part = <E extends HTMLElement>(name: string, type: new () => E) => E;

/** Clones the template `id`; gives its one element and its parts. */
export function clone(id: string): { readonly root: HTMLElement; readonly part: Part } {
  const template = document.getElementById(id);
  if (!(template instanceof HTMLTemplateElement)) throw new Error(`no template ${id}`);
  const content = document.importNode(template.content, true);
  const root = content.firstElementChild;
  if (!(root instanceof HTMLElement)) throw new Error(`template ${id} is empty`);
  return {
    root,
    part: (name, type) => {
      const selector = `[data-part="${name}"]`;
      const found = root.matches(selector) ? root : root.querySelector(selector);
      if (!(found instanceof type)) throw new Error(`template ${id} has no ${name}`);
      return found;
    },
  };
}

/** A new element with a class and text. */
export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K, className: string, text = "",
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  if (className !== "") made.className = className;
  made.textContent = text;
  return made;
}
