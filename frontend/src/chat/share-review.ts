/** What in a text one would rather not publish: keys, cards, addresses, telephone numbers. A hint, no guarantee. */
const KEYS =
  /\b(?:sk-[\w-]{16,}|oneai_\w{16,}|gh[oprsu]_[A-Za-z0-9]{20,}|AKIA[0-9A-Z]{16}|xox[abpr]-[\w-]{10,}|AIza[\w-]{30,})|-----BEGIN [A-Z ]*PRIVATE KEY-----/g;
const MAIL = /[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+/g;
const CARD = /(?<![\d-])\d(?:[ -]?\d){12,18}(?![\d-])/g;
const PHONE = /(?<![\w+])(?:\+\d(?:[ ()-]{0,2}\d){7,13}|[6-9]\d{4}[ -]?\d{5})(?!\w)/g;

/** Whether the digits are a card's: they have its check digit (Luhn). */
function isCard(text: string): boolean {
  const digits = Array.from(text.replace(/\D/g, ""), Number).reverse();
  const sum = digits.reduce((total, digit, at) => total + (at % 2 ? (digit * 2 > 9 ? digit * 2 - 9 : digit * 2) : digit), 0);
  return sum % 10 === 0 && new Set(digits).size > 1;
}

const many = (count: number, one: string, more: string): string[] => (count ? [`${count} ${count === 1 ? one : more}`] : []);
const different = (found: string[]): number => new Set(found).size;

/** What was found, in words, as "2 e-mail addresses"; empty when nothing was. */
export function review(text: string): string[] {
  const cards = (text.match(CARD) ?? []).filter(isCard);
  const rest = cards.reduce((left, card) => left.replaceAll(card, ""), text);
  return [
    ...many(different(text.match(KEYS) ?? []), "key or token", "keys or tokens"),
    ...many(different(cards), "card number", "card numbers"),
    ...many(different(text.match(MAIL) ?? []), "e-mail address", "e-mail addresses"),
    ...many(different(rest.match(PHONE) ?? []), "telephone number", "telephone numbers"),
  ];
}
