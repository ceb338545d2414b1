/** Which addresses of a model may become links. */
/** The address if a link may lead there, else null. The server's renderer has the same rule. */
export function safeLink(address: string): URL | null {
  if (/[\u0000-\u0020\u007f-\u009f]/.test(address.trim())) return null;
  try {
    const url = new URL(address);
    return ["http:", "https:", "mailto:"].includes(url.protocol) ? url : null;
  } catch {
    return null;
  }
}
