/** Every page: the theme switch, the plan interval, forms that are sent once. */
import { startIntervalSwitch } from "./interval.ts";
import { startCopying } from "./copy.ts";
import { startForms } from "./forms.ts";
import { startTheme } from "./theme.ts";

startTheme();
startForms();
startCopying();
startIntervalSwitch();
