/** What a user sees and does, in WebKit. */

import { engines } from "../common/webdriver.mjs";
import { tell } from "./stories.mjs";

tell(engines.webkit);
