// The page's security policy admits style elements by the nonce of the answer only. antd carries it where it makes its own styles, but its
// lock of the page behind a dialog does not, so every style element our scripts make is given it here. Where the server left the
// placeholder as it was built, nothing is done.

function nonceOfPage(): string | undefined {
  const content = document.querySelector<HTMLMetaElement>('meta[name="csp-nonce"]')?.content;
  return content && !content.startsWith('__') ? content : undefined;
}

export const nonce = nonceOfPage();

export function signStyleElements(): void {
  if (nonce === undefined) return;
  const create = document.createElement.bind(document);
  document.createElement = ((name: string, options?: ElementCreationOptions) => {
    const element = create(name, options);
    if (element instanceof HTMLStyleElement) element.nonce = nonce;
    return element;
  }) as typeof document.createElement;
}
