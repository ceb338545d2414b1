/**
 * Passkeys: a form whose device is asked before it is sent. `data-passkey` says what for ("create" or "get"),
 * `data-options` holds what the server asks, or `data-options-from` where to get that. Without scripts, or on a
 * device that has no passkeys, such a form stays hidden.
 */
type Bytes = ArrayBuffer | Uint8Array<ArrayBuffer>;
type Descriptor = { id: string; type: PublicKeyCredentialType; transports?: AuthenticatorTransport[] };
type Asked = { challenge: string; user?: { id: string }; excludeCredentials?: Descriptor[]; allowCredentials?: Descriptor[] };

function bytes(text: string): Uint8Array<ArrayBuffer> {
  const plain = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(plain, (character) => character.charCodeAt(0));
}

function text(value: Bytes): string {
  const plain = String.fromCharCode(...new Uint8Array(value));
  return btoa(plain).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function known(list: Descriptor[] | undefined): PublicKeyCredentialDescriptor[] {
  return (list ?? []).map((one) => ({ ...one, id: bytes(one.id) }));
}

async function ask(kind: string, asked: Asked): Promise<PublicKeyCredential | null> {
  const challenge = bytes(asked.challenge);
  if (kind === "create") {
    const user = { ...asked.user, id: bytes(asked.user?.id ?? "") };
    const excludeCredentials = known(asked.excludeCredentials);
    const publicKey = { ...asked, challenge, user, excludeCredentials } as unknown as PublicKeyCredentialCreationOptions;
    return (await navigator.credentials.create({ publicKey })) as PublicKeyCredential | null;
  }
  const publicKey = { ...asked, challenge, allowCredentials: known(asked.allowCredentials) };
  return (await navigator.credentials.get({ publicKey })) as PublicKeyCredential | null;
}

function written(credential: PublicKeyCredential): string {
  const from = credential.response as AuthenticatorAttestationResponse & AuthenticatorAssertionResponse;
  const response: Record<string, unknown> = { clientDataJSON: text(from.clientDataJSON) };
  if (from.attestationObject) {
    response["attestationObject"] = text(from.attestationObject);
    response["transports"] = from.getTransports?.() ?? [];
  } else {
    response["authenticatorData"] = text(from.authenticatorData);
    response["signature"] = text(from.signature);
    response["userHandle"] = from.userHandle ? text(from.userHandle) : null;
  }
  return JSON.stringify({
    id: credential.id,
    rawId: text(credential.rawId),
    type: credential.type,
    authenticatorAttachment: credential.authenticatorAttachment,
    clientExtensionResults: credential.getClientExtensionResults(),
    response,
  });
}

async function options(form: HTMLFormElement): Promise<Asked> {
  const from = form.dataset["optionsFrom"];
  const all = from
    ? ((await (await fetch(from, { headers: { Accept: "application/json" } })).json()) as { options: unknown }).options
    : JSON.parse(form.dataset["options"] ?? "{}");
  return (all as { publicKey: Asked }).publicKey;
}

async function fill(form: HTMLFormElement): Promise<void> {
  const said = form.querySelector<HTMLElement>("[data-passkey-said]");
  try {
    const credential = await ask(form.dataset["passkey"] ?? "get", await options(form));
    const field = form.querySelector<HTMLInputElement>("input[name=credential]");
    if (!credential || !field) return;
    field.value = written(credential);
    form.submit();
  } catch {
    if (said) said.hidden = false;
  }
}

export function startPasskeys(): void {
  if (typeof PublicKeyCredential === "undefined") return;
  for (const form of document.querySelectorAll<HTMLFormElement>("form[data-passkey]")) {
    form.hidden = false;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      void fill(form);
    });
  }
}
