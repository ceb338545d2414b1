/** The chunk with the typesetter and its style sheets, loaded by math.ts. */
import "temml/dist/Temml-Local.css";
import "../css/math.css";

import temml from "temml";

export default temml;
