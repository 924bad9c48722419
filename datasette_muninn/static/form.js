/* Leaves what was not filled in out of the search's address. */
"use strict";

for (const form of document.querySelectorAll(".muninn-search-form")) {
  form.addEventListener("submit", () => {
    const empty = [...form.elements].filter((field) => field.name && field.value === "");
    for (const field of empty) field.disabled = true;
    // Back in the browser's history the fields are there again.
    setTimeout(() => empty.forEach((field) => (field.disabled = false)));
  });
}
