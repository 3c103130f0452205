// The slider, and which picture is on its left. Without scripts the two halves still show side by side.
const view = document.querySelector(".view");
if (view) {
  const control = view.querySelector("input");
  const move = () => view.style.setProperty("--at", `${control.value}%`);
  control.addEventListener("input", move);
  move();

  const label = view.querySelector(".at-left");
  const buttons = [...document.querySelectorAll(".choices button")];
  for (const button of buttons) {
    button.addEventListener("click", () => {
      for (const other of buttons) other.setAttribute("aria-pressed", String(other === button));
      for (const image of view.querySelectorAll("img.left")) image.hidden = !image.classList.contains(button.dataset.choice);
      label.textContent = button.dataset.choice;
    });
  }
}
