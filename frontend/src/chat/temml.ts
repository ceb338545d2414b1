/** The chunk with the typesetter and its style sheet, loaded by math.ts. */
import "temml/dist/Temml-Local.css";

import temml from "temml";

export default temml;
