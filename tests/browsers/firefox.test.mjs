/** What a user sees and does, in Firefox. */

import { engines } from "../common/webdriver.mjs";
import { tell } from "./stories.mjs";

tell(engines.firefox);
