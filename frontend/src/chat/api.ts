/** Calls to our own API: the session's cookie, the CSRF token of the page, errors as one class. */
export interface ErrorBody {
  code: string;
  message: string;
  type?: string;
  param?: string | null;
  request_id?: string;
  details?: { limit?: Limit; [key: string]: unknown };
}

export interface Limit {
  scope: string;
  unit: "tokens" | "nano_usd";
  limit: number | null;
  used: number;
  held: number;
  remaining?: number | null;
  reset_at?: string | null;
  /** There when a team pays: whether all its members use it together, or it is what one may use of it. */
  shared?: boolean;
}

/** An answer of the server that is not what was asked for. */
export class Refused extends Error {
  readonly status: number;
  readonly body: ErrorBody;
  readonly retryAfter: number | null;

  constructor(status: number, body: ErrorBody, retryAfter: number | null) {
    super(body.message);
    this.status = status;
    this.body = body;
    this.retryAfter = retryAfter;
  }
}

export function csrfToken(): string {
  return document.querySelector<HTMLMetaElement>('meta[name="csrf-token"]')?.content ?? "";
}

const PLAIN: Record<number, string> = {
  401: "You are signed out.",
  403: "This page was open too long. Reload it and try again.",
  413: "That message is too large.",
  429: "Too many requests at the moment.",
};

/** The error of a response, whatever stands in its body. */
export async function refusalOf(response: Response): Promise<Refused> {
  const after = Number(response.headers.get("retry-after") ?? NaN);
  let body: ErrorBody | undefined;
  try {
    const parsed = (await response.json()) as { error?: ErrorBody };
    if (parsed.error && typeof parsed.error.message === "string") body = parsed.error;
  } catch {
    // Not ours, or cut: the status has to do.
  }
  body ??= {
    code: `http_${response.status}`,
    message: PLAIN[response.status] ?? `The server answered ${response.status}. Please try again.`,
  };
  return new Refused(response.status, body, Number.isFinite(after) ? after : null);
}

export async function call<T>(method: string, path: string, body?: unknown): Promise<T> {
  const headers: Record<string, string> = { accept: "application/json" };
  if (method !== "GET") headers["x-csrftoken"] = csrfToken();
  if (body !== undefined) headers["content-type"] = "application/json";
  const response = await fetch(path, {
    method,
    headers,
    credentials: "same-origin",
    // A change that was asked for happens, also when the page is left at once.
    keepalive: method !== "GET",
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  if (!response.ok) throw await refusalOf(response);
  return (response.status === 204 ? undefined : await response.json()) as T;
}
