/** Every page: the theme switch, the plan interval, passkeys, forms that are sent once. */
import { startIntervalSwitch } from "./interval.ts";
import { startCopying } from "./copy.ts";
import { startForms } from "./forms.ts";
import { startPasskeys } from "./passkeys.ts";
import { startTheme } from "./theme.ts";

startTheme();
startForms();
startCopying();
startIntervalSwitch();
startPasskeys();
